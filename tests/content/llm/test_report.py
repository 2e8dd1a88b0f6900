"""A spreadsheet shows what an endpoint said, and never carries it out."""

from __future__ import annotations

import csv

from flatrec.content.llm.writing import write_report


def test_ids_and_warnings_are_no_formulas(tmp_path):
    write_report(tmp_path / "x.csv", {"=1+1": ("+said", "no image"), "-5": ("kept",)}, {})
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["item", "warning"], ["'=1+1", "'+said"], ["'=1+1", "no image"], ["-5", "kept"]]
