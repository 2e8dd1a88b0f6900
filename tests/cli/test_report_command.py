"""flatrec report: what it writes, and what it refuses."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace

import pytest

from flatrec.research.reporting import study_result
from flatrec.research.reporting.study_result import Column, Image, StudyResult, Table
from tests.cli.test_errors import one_line

TABLE = Table("speed", "Speed", (Column("strategy"), Column("seconds", "number", 1)), (("plain", 2.0),))
STUDY = StudyResult("speed", "Speed of all", "Which is quicker?", (TABLE,), fingerprints={"toys": "a" * 16})


@pytest.fixture
def study(tmp_path):
    study_result.write_study_result(_made(tmp_path / "speed"), STUDY)
    return tmp_path / "speed"


def _made(folder):
    folder.mkdir()
    return folder


def test_help_has_an_example(flatrec):
    outcome = flatrec("report", "--help")
    assert outcome.code == 0
    assert "Example: flatrec report" in " ".join(outcome.out.split())


def test_a_page_of_several_studies(flatrec, study, tmp_path):
    other = _made(tmp_path / "other")
    study_result.write_study_result(other, replace(STUDY, title="Another study"))
    outcome = flatrec("report", study, other, "--out", tmp_path / "page.html")
    assert (outcome.code, outcome.err) == (0, "")
    assert "page.html" in outcome.out
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.index("Speed of all</h2>") < text.index("Another study</h2>")


@pytest.mark.parametrize(
    ("format", "name", "part"),
    [
        ("html", "report.html", "<!DOCTYPE html>"),
        ("md", "report.md", "## Speed of all"),
        ("latex", "report.tex", r"\label{tab:speed}"),
    ],
)
def test_each_format_has_a_name_of_its_own(flatrec, study, tmp_path, monkeypatch, format, name, part):
    monkeypatch.chdir(_made(tmp_path / "here"))
    outcome = flatrec("report", study, "--format", format)
    assert outcome.code == 0, outcome.err
    assert [path.name for path in (tmp_path / "here").iterdir()] == [name]
    assert part in (tmp_path / "here" / name).read_text(encoding="utf-8")


def test_the_ending_need_not_fit_the_format(flatrec, study, tmp_path):
    assert flatrec("report", study, "--format", "md", "--out", tmp_path / "tables.txt").code == 0
    assert (tmp_path / "tables.txt").read_text(encoding="utf-8").startswith("# flatrec: studies")


@pytest.mark.parametrize("format", ["html", "md", "latex"])
def test_a_dash_prints_the_report_alone(flatrec, study, tmp_path, monkeypatch, format):
    here = _made(tmp_path / "here")
    monkeypatch.chdir(here)
    outcome = flatrec("report", study, "--format", format, "--out", "-")
    assert (outcome.code, outcome.err) == (0, "")
    assert list(here.iterdir()) == []
    assert flatrec("report", study, "--format", format, "--out", tmp_path / "file").code == 0
    assert outcome.out == (tmp_path / "file").read_text(encoding="utf-8")


def test_a_dash_prints_nothing_of_a_report_that_fails(flatrec, study):
    one_line(flatrec("report", "nowhere", "--format", "md", "--out", "-"), 2, "nowhere")
    one_line(flatrec("report", study, "--format", "csv", "--out", "-"), 2, "unknown format 'csv'")


def test_a_report_is_printed_as_utf_8_whatever_the_terminal_has(study):
    words = [sys.executable, "-m", "flatrec", "report", str(study), "--format", "md", "--out", "-"]
    study_result.write_study_result(study, replace(STUDY, title="\N{MINUS SIGN}1 \N{EN DASH} 雪"))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, env=environment, capture_output=True, check=True)
    assert "## \N{MINUS SIGN}1 \N{EN DASH} 雪" in done.stdout.decode()


def test_tables_alone_need_no_figures(flatrec, study, tmp_path):
    study_result.write_study_result(study, replace(STUDY, images=(Image("curve", "Curve"),)))
    one_line(flatrec("report", study, "--out", tmp_path / "page.html"), 2, str(study), "figures/curve.png")
    assert not (tmp_path / "page.html").exists()
    assert flatrec("report", study, "--format", "latex", "--out", tmp_path / "tables.tex").code == 0


def test_bad_usage_is_one_line_and_writes_nothing(flatrec, study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study_result.write_study_result(_made(tmp_path / "other"), replace(STUDY, fingerprints={"toys": "b" * 16}))
    (_made(tmp_path / "damaged") / "study.json").write_text("[")
    before = sorted(tmp_path.rglob("*"))
    one_line(flatrec("report"), 2, "DIR")
    one_line(flatrec("report", "nowhere"), 2, "nowhere", "flatrec study")
    one_line(flatrec("report", "damaged"), 2, "study.json is damaged")
    one_line(flatrec("report", study, study), 2, "twice")
    one_line(flatrec("report", study, "other"), 2, "different data under the name toys", "aaaaaaaa", "bbbbbbbb")
    one_line(flatrec("report", study, "--format", "htm"), 2, "'htm'", "did you mean html")
    one_line(flatrec("report", study, "--out", "."), 2, "is a folder", "report.html")
    one_line(flatrec("report", study, "--out", "nowhere/page.html"), 2, "nowhere/page.html")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("name", "value"), [("title", 5), ("settings", []), ("fingerprints", {"toys": 5})])
@pytest.mark.parametrize("format", ["html", "md", "latex"])
def test_a_value_of_the_wrong_type_is_one_line(flatrec, study, tmp_path, format, name, value):
    tree = json.loads((study / "study.json").read_text(encoding="utf-8"))
    (study / "study.json").write_text(json.dumps({**tree, name: value}), encoding="utf-8")
    words = ("report", study, "--format", format, "--out", tmp_path / "page")
    one_line(flatrec(*words), 2, str(study / "study.json"), "is damaged", name)
    assert not (tmp_path / "page").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders")
def test_a_pipe_is_never_replaced(flatrec, study, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    outcome = flatrec("report", study, "--out", tmp_path / "pipe")
    one_line(replace(outcome, code=2), 2, str(tmp_path / "pipe"), "not a regular file")
    assert outcome.code in (1, 2)
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe", "speed"]


def test_a_link_is_never_replaced(flatrec, study, tmp_path):
    (tmp_path / "target").write_text("as it was")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    outcome = flatrec("report", study, "--out", tmp_path / "link")
    one_line(replace(outcome, code=2), 2, str(tmp_path / "link"), "a symbolic link")
    assert outcome.code in (1, 2)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "as it was"
