"""The script that puts results of benchmarks into the page."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tables.py"


def filled(folder, page):
    words = [sys.executable, str(SCRIPT), str(folder), str(page)]
    return subprocess.run(words, check=False, capture_output=True, text=True)


def test_tables_replace_what_stands_between_their_marks_and_nothing_else(tmp_path):
    rows = [{"dim": 64, "flatrec_seconds": 0.25, "numpy_ratio": 2.0}, {"other": 1}]
    (tmp_path / "evaluation.json").write_text(json.dumps({"rows": rows}))
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- evaluation -->\n<!-- end -->\nb\n<!-- growth -->\nold\n<!-- end -->\nc\n")
    for _ in range(2):
        assert filled(tmp_path, page).returncode == 0
        lines = page.read_text().splitlines()
        assert lines[1:5] == ["<!-- evaluation -->", lines[2], "| --- | --- | --- |", "| 64 | 0.25 | 2 |"]
        assert [lines[0], *lines[5:]] == ["a", "<!-- end -->", "b", "<!-- growth -->", "old", "<!-- end -->", "c"]


def test_a_page_without_the_place_is_an_error(tmp_path):
    (tmp_path / "growth.json").write_text(json.dumps({"rows": [{"doubled": "dim"}]}))
    (tmp_path / "page.md").write_text("nothing\n")
    assert "expected one place for growth" in filled(tmp_path, tmp_path / "page.md").stderr
