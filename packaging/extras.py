"""Install the wheel with every extra into a fresh virtual environment, run one command in each, and print a table.

    python -m pip install build uv
    python -m build --wheel
    python packaging/extras.py --wheel dist/flatrec-*.whl                      # all extras
    python packaging/extras.py --wheel dist/flatrec-*.whl --only bare,serve

Packages come from where uv is told to look, by its variables such as UV_FIND_LINKS. Sizes are those of the installed
files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from proofs import PROOFS, SMALL, Proof

ROOT = Path(__file__).parents[1]
NOT_PROVED = ("all", "dev", "docs")
MB = 1e6
SIZES = """
import json
from importlib.metadata import distributions
sizes = {}
for package in distributions():
    files = [file.locate() for file in package.files or ()]
    sizes[package.name] = [package.version, sum(file.stat().st_size for file in files if file.is_file())]
print(json.dumps(sizes))
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel and an extra.

    Args:
        python: its interpreter.
        seconds: time that the installation took.
        packages: version and bytes of every package.
    """

    python: Path
    seconds: float
    packages: dict[str, tuple[str, int]]


def main() -> None:
    """Print the table; exit with 1 if a command failed."""
    options = _options()
    names = options.only.split(",") if options.only else ["bare", *_extras()]
    work = Path(tempfile.mkdtemp(prefix="flatrec-extras-"))
    try:
        bare = _install(work / "bare", options, "")
        shop = work / "work"
        _prepare(bare, shop)
        print(_contents(bare))
        print("| extra | packages | MB | seconds | proved by |\n|---|---|---|---|---|")
        failed = [name for name in names if not _row(name, bare, shop, options)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel")
    parser.add_argument("--only", default="", help="extras with commas between them; bare is none")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environments")
    parser.add_argument("--require", action="append", default=[], help="further requirement, such as torch==2.13.0")
    return parser.parse_args()


def _extras() -> list[str]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [name for name in table["project"]["optional-dependencies"] if name not in NOT_PROVED]


def _row(name: str, bare: Environment, shop: Path, options: argparse.Namespace) -> bool:
    extra = "" if name == "bare" else name
    environment = _install(shop.parent / name, options, extra) if extra else bare
    added = {package: size for package, size in environment.packages.items() if package not in bare.packages}
    changed = [
        package
        for package, (version, _) in bare.packages.items()
        if environment.packages.get(package, ("", 0))[0] != version
    ]
    size = sum(size for _, size in (added if extra else bare.packages).values()) / MB
    proof = PROOFS[extra]
    problem = _proved(proof, environment.python, shop)
    shown = proof.about or f"`flatrec {proof.words.replace(f' {SMALL}', '')}`"
    count = f"+{len(added)}" if extra else str(len(bare.packages))
    print(f"| {name} | {count} | {size:.0f} | {environment.seconds:.0f} | {shown} |", flush=True)
    if changed:
        print(f"{name} changed {', '.join(changed)}", file=sys.stderr)
    if problem:
        print(f"{name}: {problem}", file=sys.stderr)
    if extra:
        shutil.rmtree(environment.python.parents[1])
    return not problem


def _install(folder: Path, options: argparse.Namespace, extra: str) -> Environment:
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", options.python, folder], check=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wheel = f"{options.wheel.resolve()}[{extra}]" if extra else str(options.wheel.resolve())
    started = time.perf_counter()
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, wheel, *options.require], check=True)
    seconds = time.perf_counter() - started
    listed = subprocess.run([python, "-c", SIZES], check=True, capture_output=True, text=True).stdout
    return Environment(python, seconds, {name: (version, size) for name, (version, size) in json.loads(listed).items()})


def _contents(bare: Environment) -> str:
    """What comes without an extra, the largest first."""
    rows = sorted(bare.packages.items(), key=lambda row: -row[1][1])
    lines = [f"| {name} | {version} | {size / MB:.1f} |" for name, (version, size) in rows]
    return "\n".join(["| package | version | MB |", "|---|---|---|", *lines, ""])


def _prepare(bare: Environment, shop: Path) -> None:
    """Make a small shop and train on it, with no extra at all."""
    shop.mkdir()
    for words in ("data shop small --users 120 --items 60", f"train --data small --model vbpr {SMALL} --out run"):
        subprocess.run([bare.python, "-m", "flatrec", *words.split()], cwd=shop, check=True, stdout=subprocess.DEVNULL)


def _proved(proof: Proof, python: Path, shop: Path) -> str:
    """Run a command; return what is wrong, or nothing."""
    if proof.before:
        subprocess.run([python, "-c", proof.before], cwd=shop, check=True)
    if proof.is_service:
        return _served(proof, python, shop)
    words = ["-c", proof.words] if proof.is_python else ["-m", "flatrec", *proof.words.split()]
    done = subprocess.run([python, *words], cwd=shop, capture_output=True, text=True, check=False)
    if proof.fails:
        lines = done.stderr.splitlines()
        return "" if done.returncode == 1 and len(lines) == 1 and proof.fails in lines[0] else done.stderr
    return done.stderr or f"exit code {done.returncode}" if done.returncode else ""


def _served(proof: Proof, python: Path, shop: Path) -> str:
    """Start the service, ask for its page and a list, and stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = proof.words.format(port=port).split()
    environment = {**os.environ, "FLATREC_TOKENS": ""}
    service = subprocess.Popen([python, "-m", "flatrec", *words], cwd=shop, env=environment, stdout=subprocess.DEVNULL)
    try:
        answers = [
            _answer(f"http://127.0.0.1:{port}{path}") for path in ("/", "/page/main.js", "/v1/recommend/user-00003")
        ]
    finally:
        service.terminate()
        service.wait(30)
    return "" if all(answers) else "the service did not answer"


def _answer(address: str) -> bool:
    for _ in range(120):
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return bool(answer.status == 200 and answer.read())
        except OSError:
            time.sleep(0.5)
    return False


if __name__ == "__main__":
    main()
