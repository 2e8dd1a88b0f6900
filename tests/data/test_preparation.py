"""What preparation removed stands where the prepared data are read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flatrec.config import SplitSettings
from flatrec.data.amazon.prepare import AmazonFiles, prepare
from flatrec.data.cleaning import CleaningReport, TableCleaningReport
from flatrec.data.loading import load_data
from flatrec.data.preparation import with_preparation
from tests.data.amazon.files import interactions, reviews_2014


def test_a_prepared_folder_says_what_its_preparation_removed(tmp_path):
    lone = [("A_once", "B000000001"), ("A_twice", "B_once"), ("A_twice", "B000000001")]
    path = reviews_2014(tmp_path / "r.json", [*interactions(), *lone, *interactions()[:10]])
    path.write_text(path.read_text() + 'x\n{"asin": "B1"}\n{"asin": "B2"}\n')
    prepared = prepare(AmazonFiles(path), tmp_path / "baby", SplitSettings(), name="baby").dataset
    report = load_data(tmp_path / "baby").cleaning_report
    assert replace(report, events=prepared.cleaning_report.events) == prepared.cleaning_report
    assert (report.prepared_repeats, report.k_core) == (10, 5)
    assert (report.filtered_users, report.filtered_items, report.filtered_interactions) == (2, 1, 3)
    assert report.sentences()[0] == "r.json: preparation left out 3 lines (1 malformed, 2 without user or item)"
    assert report.sentences()[1] == "preparation joined 10 repeated interactions to earlier ones"
    assert report.sentences()[2].startswith("the 5-core filter removed 2 users, 1 item and 3 interactions")


def test_counts_of_reading_and_of_preparation_add_up(tmp_path):
    text = '{"removed": {"prepared_repeats": 3}, "skipped": {"r": {"odd": 2}, "m": {}}}'
    (tmp_path / "prepare.json").write_text(text)
    read = CleaningReport(prepared_repeats=4, tables=(TableCleaningReport("x.inter", padded_ids=1),))
    found = with_preparation(read, tmp_path)
    assert found.prepared_repeats == 7
    assert [table.file for table in found.tables] == ["r", "x.inter"]
    assert with_preparation(read, tmp_path / "nowhere") == read


@pytest.mark.parametrize(
    "content",
    ["", "[]", "3", '{"removed": 1}', '{"removed": {"prepared_repeats": -1}}',
     '{"removed": {"prepared_repeats": true}}',
     '{"skipped": {"r": {"odd": "many"}}}', '{"skipped": [1]}', "[" * 100_000, "\udcff"],
)  # fmt: skip
def test_a_damaged_report_is_one_line(tmp_path, content):
    (tmp_path / "prepare.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=r"prepare\.json is damaged .*; prepare the data again, or delete it"):
        with_preparation(CleaningReport(), tmp_path)


def test_reports_from_before_these_counts_add_nothing(tmp_path):
    (tmp_path / "prepare.json").write_text(json.dumps({"name": "baby", "users": 3, "skipped": {"r.json": {}}}))
    assert with_preparation(CleaningReport(), tmp_path) == CleaningReport()
