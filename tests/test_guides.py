"""The guides to models and strategies of one's own, followed word for word: every file written, every command run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from flatrec.cli import main
from flatrec.testing import messages  # noqa: F401 - part of what commands import; loaded before the path is changed

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^( *)```(python)?\n(.*?)^\1```$", flags=re.DOTALL | re.MULTILINE)


def blocks(document):
    """The code of a guide in its order: whether it is Python, and the text."""
    text = (DOCS / document).read_text(encoding="utf-8")
    return [(found[2] == "python", textwrap.dedent(found[3])) for found in BLOCK.finditer(text)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, in which all happens."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.mark.parametrize(("document", "commands"), [("adding-a-model.md", 11), ("adding-a-strategy.md", 8)])
def test_a_guide_does_what_it_says(folder, capsys, document, commands):
    (_, definition), *rest = blocks(document)
    (folder / "mine.py").write_text(definition)
    done = 0
    for is_python, text in rest:
        if is_python:
            exec(compile(text, document, "exec"), {})  # noqa: S102
            continue
        for line in text.strip().splitlines():
            program, *words = shlex.split(line)
            assert program == "flatrec"
            with pytest.raises(SystemExit) as stop:
                main(words)
            captured = capsys.readouterr()
            assert stop.value.code == 0, f"{line}\n{captured.err}"
            done += 1
    assert done == commands
    page = (folder / "report.html").read_text()
    assert "Example" in page


def insert(path, before, text):
    content = path.read_text(encoding="utf-8")
    assert content.count(before) == 1
    path.write_text(content.replace(before, text + before), encoding="utf-8")


def test_a_model_of_the_package_is_three_files(tmp_path):
    for place in ("src", "tests/models"):
        shutil.copytree(DOCS.parent / place, tmp_path / place)
    for file in ("pyproject.toml", "conftest.py", "tests/__init__.py"):
        shutil.copy(DOCS.parent / file, tmp_path / file)
    (_, definition), *_ = blocks("adding-a-model.md")
    row = re.search(r'"example": \{.*\},', (DOCS / "adding-a-model.md").read_text(encoding="utf-8"))[0]
    entry = '"example": Entry("flatrec.models.example:Example", FEATURES, "Propagation.", "Author et al."),'
    models, settings = tmp_path / "src" / "flatrec" / "models", tmp_path / "tests" / "models" / "settings.py"
    (models / "example.py").write_text(definition, encoding="utf-8")
    insert(models / "registry.py", '    "popularity": Entry(', f"    {entry}\n")
    insert(settings, '    "bpr": {', f"    {row}\n")
    insert(settings, '    "dragon",\n', '    "example",\n')
    tests = [f"tests/models/{name}" for name in ("test_contract.py", "test_bad_input.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", "example or row"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(".") > 10
