"""Prove that a refactoring changes no number: runs of two source trees are equal to the last bit.

    python benchmarks/same_numbers.py --source BEFORE --out before.json
    python benchmarks/same_numbers.py --source AFTER --out after.json
    python benchmarks/same_numbers.py --compare before.json after.json

Record both on one machine. Every listed model is trained on the built-in shop with each strategy and seed, in a single
process with one thread and fresh caches. The last command prints a row for each group of numbers that differs in a run:
what only BEFORE has, then what only AFTER has. It exits with 1 if there is any or a run failed. Names may change:
tensors are compared as a multiset of type, shape and digest, other numbers by their names if shared, else by value.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import json
import os
import platform
import runpy
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

SETTINGS = ("training.epochs=3", "training.loggers=none")


def command(*words: str) -> str:
    """Return what the command prints; raise RuntimeError with its last words if it fails."""
    sys.argv = ["flatrec", *words]
    with redirect_stdout(io.StringIO()) as output, redirect_stderr(io.StringIO()) as errors:
        try:
            runpy.run_module("flatrec", run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"exit code {end.code}: {errors.getvalue()[-500:].strip()}") from end
    return output.getvalue()


def tensors(path: Path) -> dict[str, str]:
    """Return data type, shape and digest of every tensor of a safetensors file."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    texts = {}
    for name, tensor in json.loads(content[8:start]).items():
        if name != "__metadata__":
            begin, end = (start + offset for offset in tensor["data_offsets"])
            texts[name] = f"{tensor['dtype']} {tensor['shape']} {hashlib.sha256(content[begin:end]).hexdigest()}"
    return texts


def numbers(folder: Path) -> dict[str, dict[str, str]]:
    """Return the scores of each split, the losses by epoch and the diagnostics, whatever their keys are."""
    groups: dict[str, dict[str, str]] = {"loss": {}, "diagnostics": {}}
    for key, value in json.loads((folder / "result.json").read_text()).items():
        if isinstance(value, dict) and any("@" in name for name in value):
            groups[key] = {name: str(number) for name, number in value.items()}
        elif isinstance(value, dict) and all(isinstance(series, list) for series in value.values()):
            groups["diagnostics"] |= {name: str(series) for name, series in value.items()}
    for path in folder.glob("*.jsonl"):
        for epoch, row in enumerate(map(json.loads, path.read_text().splitlines()), start=1):
            groups["loss"] |= {f"{key} {epoch}": str(value) for key, value in row.items() if "loss" in key}
    return groups


def train_all(source: Path, settings: Sequence[str], models: Sequence[str]) -> None:
    """Train in this process, which must import the source's package, and print a line of JSON for every run."""
    if not Path(str(getattr(find_spec("flatrec"), "origin", None))).is_relative_to(source):
        sys.exit(f"expected the root of a checkout, got {source} without src/flatrec; give another --source")
    models = models or [model["name"] for model in json.loads(command("list", "models", "--json"))["models"]]
    options = ["--data", "shop", "--device", "cpu", *(word for setting in settings for word in ("--set", setting))]
    for model, strategy, seed in itertools.product(models, ("plain", "sam", "bsam+"), ("0", "1")):
        folder = Path(tempfile.mkdtemp(), "run")
        try:
            command("train", *options, "--model", model, "--strategy", strategy, "--seed", seed, "--out", str(folder))
            groups = numbers(folder) | {"tensors": tensors(folder / "checkpoint.safetensors")}
        except Exception as error:  # recorded; the other runs go on
            groups = {"error": {type(error).__name__: str(error)}}
        print(json.dumps([f"{model} {strategy} {seed}", groups]), flush=True)


def record(source: Path, out: Path) -> int:
    """Have a new process train, with the same options as this one, and write its runs down; return 1 if one failed."""
    with tempfile.TemporaryDirectory() as scratch:
        changed = {"PYTHONPATH": str(source / "src"), "OMP_NUM_THREADS": "1"}
        changed |= dict.fromkeys(("TMPDIR", "XDG_CACHE_HOME", "FLATREC_CACHE"), scratch)
        worker = [sys.executable, __file__, "--worker", *sys.argv[1:]]
        done = subprocess.run(worker, env=os.environ | changed, stdout=subprocess.PIPE, text=True)
    runs = dict(map(json.loads, done.stdout.splitlines()))
    failed = [f"{name}: {groups['error']}" for name, groups in runs.items() if "error" in groups]
    out.write_text(json.dumps({"where": f"{platform.platform()}, torch {version('torch')}", "runs": runs}))
    print(f"{len(runs)} runs, {len(failed)} failed", *failed, sep="\n")
    return int(bool(failed) or not runs or done.returncode != 0)


def surplus(side: dict[str, str], other: dict[str, str], *, by_name: bool) -> list[str]:
    """Return what one side has more often than the other; with ``by_name``, a shared name must have the same text."""
    left = Counter((name if by_name and name in side else "", text) for name, text in other.items())
    labels = []
    for name, text in side.items():
        key = (name if by_name and name in other else "", text)
        left[key] -= 1
        labels += [f"{name} {text}"] if left[key] < 0 else []
    return labels


def compare(before: Path, after: Path, models: Sequence[str]) -> int:
    """Print a table of the differences between two recordings; return 1 if there are any."""
    first, second = (json.loads(path.read_text()) for path in (before, after))
    names = [name for name in first["runs"] | second["runs"] if not models or name.split()[0] in models]
    differing = set()
    for name in names:
        run, rerun = (recording["runs"].get(name, {"error": {"missing": ""}}) for recording in (first, second))
        for group in {"error"} & (run | rerun).keys() or run | rerun:
            sides = run.get(group, {}), rerun.get(group, {})
            only = [surplus(*order, by_name=group != "tensors") for order in (sides, sides[::-1])]
            if group == "error" or any(only):
                differing.add(name)
                print(f"{name:<20} {group:<11}", *(f"{len(labels):>4} {', '.join(labels)[:60]:<60}" for labels in only))
    print(f"{len(differing)} of {len(names)} runs differ; recorded on {first['where']} and {second['where']}")
    return int(bool(differing) or not names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path(__file__).parents[1], help="the root of a checkout")
    parser.add_argument("--out", type=Path, default=Path("same_numbers.json"), help="file for its runs")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"), help="two such files")
    parser.add_argument("--models", nargs="+", default=[], help="train or compare these alone")
    parser.add_argument("--set", action="append", default=list(SETTINGS), help="one more KEY=VALUE of every run")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.compare:
        sys.exit(compare(*options.compare, options.models))
    if not options.worker:
        sys.exit(record(options.source.resolve(), options.out))
    train_all(options.source.resolve(), options.set, options.models)


if __name__ == "__main__":
    main()
