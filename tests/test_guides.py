"""The guides to models and strategies of one's own, followed word for word: every file written, every command run."""

from __future__ import annotations

import re
import shlex
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
