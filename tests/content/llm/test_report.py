"""What an endpoint answered is shown by a spreadsheet, and never carried out."""

from __future__ import annotations

import csv

from flatrec.content.llm.report import shown, write_report


def test_an_answer_is_no_formula_and_what_was_kept_stays_as_it_was():
    old = {"1": "a shoe", "2": "-old", "3": None, "4": "x"}
    new = {"1": '=HYPERLINK("http://x")', "2": "-old", "3": None, "4": "-0.5"}
    assert shown(new, old) == {"1": '\'=HYPERLINK("http://x")', "2": "-old", "3": None, "4": "-0.5"}


def test_ids_and_remarks_are_no_formulas(tmp_path):
    write_report(tmp_path / "x.csv", {"=1+1": ("+said", "no image"), "-5": ("kept",)}, {})
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["item", "remark"], ["'=1+1", "'+said"], ["'=1+1", "no image"], ["-5", "kept"]]
