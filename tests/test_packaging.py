"""What is published: the wheel, the source distribution, and the files that say what version this is."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flatrec import __version__
from flatrec.utils.optional import _NEEDED_BY

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = set(PROJECT["optional-dependencies"])
RECIPE = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
NAMES_ON_CONDA_FORGE = {"torch": "pytorch", "xxhash": "python-xxhash", "docstring-parser": "docstring_parser"}
ASSETS = {
    "flatrec/py.typed",
    "flatrec/research/reporting/reported.csv",
    "flatrec/research/reproduction/paper.toml",
    "flatrec/serve/page/index.html",
    "flatrec/serve/page/main.js",
    "flatrec/serve/page/style.css",
}


def build(source, out, *options):
    command = [sys.executable, "-m", "hatchling", "build", *options, "-d", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(ROOT, tmp_path_factory.mktemp("wheel"), "-t", "wheel")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build(ROOT, folder, "-t", "sdist")) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    return source


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def package_files():
    files = [
        path for path in (ROOT / "src" / "flatrec").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    return {path.relative_to(ROOT / "src").as_posix(): path.read_bytes() for path in files}


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel):
    files = contents(wheel)
    about = f"flatrec-{__version__}.dist-info"
    assert {name: data for name, data in files.items() if not name.startswith(about)} == package_files()
    assert set(files) >= ASSETS
    assert any(name.endswith(".html.j2") for name in files)
    names = {name.removeprefix(f"{about}/") for name in files if name.startswith(about)}
    assert names == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    assert wheel.name == f"flatrec-{__version__}-py3-none-any.whl"


def test_the_source_distribution_builds_the_same_wheel(wheel, unpacked, tmp_path):
    assert contents(build(unpacked, tmp_path, "-t", "wheel")) == contents(wheel)


def test_the_source_distribution_has_no_tests_data_or_caches(unpacked):
    top = {path.name for path in unpacked.iterdir()}
    expected = {
        "src",
        "pyproject.toml",
        "PKG-INFO",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CITATION.cff",
        "SECURITY.md",
    }
    assert top == expected | {".gitignore"}
    assert {
        path.relative_to(unpacked / "src").as_posix() for path in (unpacked / "src").rglob("*") if path.is_file()
    } == (set(package_files()))


def test_every_file_of_the_package_is_small():
    assert all(len(data) < 500_000 for data in package_files().values())


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert RECIPE["context"]["version"] == __version__
    newest, *_ = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert newest == "Unreleased" or re.fullmatch(rf"{re.escape(__version__)} \(\d{{4}}-\d\d-\d\d\)", newest)


def test_the_citation_names_the_license_and_the_authors_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["license"] == PROJECT["license"] == RECIPE["about"]["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_the_conda_recipe_has_the_requirements_of_the_package():
    requirements = [Requirement(line) for line in PROJECT["dependencies"]]
    expected = {f"{NAMES_ON_CONDA_FORGE.get(one.name, one.name)} {one.specifier}" for one in requirements}
    python, *rest = RECIPE["requirements"]["run"]
    assert set(rest) == expected
    assert python == "python >=${{ python_min }}"
    assert RECIPE["context"]["python_min"] == PROJECT["requires-python"].removeprefix(">=")
    assert RECIPE["build"]["noarch"] == "python"
    (entry,) = RECIPE["build"]["python"]["entry_points"]
    assert entry == "flatrec = " + PROJECT["scripts"]["flatrec"]


def test_every_extra_is_explained_proved_and_in_all():
    spec = spec_from_file_location("proofs", ROOT / "packaging" / "proofs.py")
    proofs = module_from_spec(spec)
    sys.modules["proofs"] = proofs  # dataclasses look their module up
    spec.loader.exec_module(proofs)
    collections = {"all", "dev", "docs"}
    assert set(proofs.PROOFS) - {""} == EXTRAS - collections
    assert set(_NEEDED_BY) == EXTRAS - collections
    everything = Requirement(PROJECT["optional-dependencies"]["all"][0]).extras
    implied = {name for name in EXTRAS for line in PROJECT["optional-dependencies"][name] if f"[{name}]" in line}
    assert everything | implied | {"plots"} == EXTRAS - collections


def test_the_page_on_installation_has_a_row_for_every_extra_and_conda_names_its_packages():
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    proved, conda = (page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0] for heading in ("Extras", "conda"))
    single = EXTRAS - {"all", "dev", "docs"}
    assert {
        name for row in re.findall(r"^\| (`.*?) \|", proved, re.M) for name in re.findall(r"`(\w+)`", row)
    } == single
    named = {name for row in re.findall(r"^\| (`.*?) \|", conda, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert named | set(re.findall(r"^`(\w+)` needs packages that only PyPI has", conda, re.M)) == single


def test_workflows_pin_every_action_to_a_commit_and_run_what_ci_runs():
    workflows = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    assert set(workflows) >= {"ci.yml", "release.yml"}
    for text in workflows.values():
        actions = re.findall(r"uses: (\S+)(.*)", text)
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action, _ in actions)
        assert all(re.fullmatch(r" # v\d+\.\d+\.\d+", comment) for _, comment in actions)
    check = yaml.safe_load(workflows["ci.yml"])["jobs"]["check"]
    assert {"run": "bash .ci/run"} in check["steps"]
    tested = {f"Programming Language :: Python :: {version}" for version in check["strategy"]["matrix"]["python"]}
    named = {one for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)}
    assert named <= tested


def test_only_the_job_that_publishes_may_prove_who_it_is():
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))
    assert release["permissions"] == {}
    assert {name: job["permissions"] for name, job in release["jobs"].items()} == {
        "build": {"contents": "read"},
        "publish": {"id-token": "write"},
    }
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")


def imported():
    """The top-level names of other packages that modules of flatrec import, at their top or later."""
    names = set()
    for path in (ROOT / "src" / "flatrec").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {one.name.partition(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"flatrec"}


def test_every_package_that_is_needed_is_imported_and_every_import_is_declared():
    requirements = [
        *PROJECT["dependencies"],
        *(line for lines in PROJECT["optional-dependencies"].values() for line in lines),
    ]
    declared = {canonicalize_name(Requirement(line).name) for line in requirements}
    known = packages_distributions()
    used = {canonicalize_name(known[name][0]) for name in imported() if name in known}
    assert used - declared == {"pydantic-core"}  # which pydantic pins
    assert {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]} <= used


@pytest.fixture
def installed(wheel, tmp_path):
    """An interpreter that sees the installed wheel, and of this environment the other packages alone."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    (packages,) = (tmp_path / "env").rglob("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")  # names no editable installs
    return tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"


@pytest.fixture
def command(installed, tmp_path):
    """A command of the installed wheel, outside of the checkout; what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words):
        done = subprocess.run(
            [installed, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


PAGE = """
from flatrec.serve.page_routes import PageFacts, page_routes
print(*(route.path for route in page_routes(PageFacts(False, False, False))))
"""


@pytest.mark.slow
def test_the_installed_wheel_reads_the_files_of_the_package(command, tmp_path):
    assert Path(command("-c", "import flatrec; print(flatrec.__file__)")).is_relative_to(tmp_path / "env")
    assert "train" in command("-m", "flatrec", "--help")
    assert "baby/lightgcn/bsam+" in command("-m", "flatrec", "reproduce", "table2")
    assert "/page/main.js" in command("-c", PAGE)
    small = ("--set", "training.epochs=1", "--set", "model.embedding_dim=8", "--seeds", "2")
    command("-m", "flatrec", "study", "overall", "--data", "shop", "--models", "vbpr", *small, "--out", "study")
    command("-m", "flatrec", "report", "study", "--out", "study.html")
    assert "<html" in (tmp_path / "study.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_installed_wheel_makes_the_demo(command, tmp_path):
    command("-m", "flatrec", "demo", "--out", "demo", "--encoders", "shop")
    assert "<html" in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
