"""Ours beside the reported value."""

from __future__ import annotations

import json
from statistics import fmean, stdev

import pytest

from flatrec.research.reproduction import find_row, reproduce, rows_of
from flatrec.research.reproduction.run import differing_counts, scores_of
from flatrec.testing import block_dataset

ROW = find_row("table2", "baby/lightgcn/bsam+")


def test_scores_are_means_and_deviations_beside_the_printed_values():
    results = [{"test": dict.fromkeys(("recall@5", "recall@10", "ndcg@5", "ndcg@10"), one)} for one in (0.1, 0.2, 0.6)]
    score = scores_of(ROW, results)["recall@10"]
    assert (score.mean, score.deviation) == (pytest.approx(0.3), pytest.approx(0.07**0.5))
    assert score.values == (0.1, 0.2, 0.6)
    assert (score.reported, scores_of(ROW, results)["ndcg@10"].reported) == (0.0524, 0.0280)


@pytest.mark.parametrize("name", ["baby/lightgcn/bsam", "baby/lightgm/bsam+", "Baby"])
def test_known_and_unknown_rows(name):
    if name == "baby/lightgcn/bsam":
        assert find_row("table2", name.upper()).strategy == "bsam"
        return
    with pytest.raises(ValueError, match="unknown row of table2") as raised:
        find_row("table2", name)
    assert "\n" not in str(raised.value)


def test_tables():
    assert [row.name for row in rows_of("table4")[:3]] == ["baby/mmgcn/plain", "baby/mmgcn/bsam", "baby/mmgcn/bsam+"]
    assert len(rows_of("table4")) == 2 * 3 * 3
    assert len(rows_of("table2")) == 5 * 9 * 3
    with pytest.raises(ValueError, match="unknown table 'table3'; did you mean table"):
        rows_of("table3")


def test_tiny_data_end_to_end_and_resumed(data, tmp_path):
    first = reproduce("table2", ROW, data, tmp_path / "out", seeds=(0, 1))
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("result.json")}
    assert len(times) == 2
    second = reproduce("table2", ROW, data, tmp_path / "out", seeds=(0, 1, 2))
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert second.scores["ndcg@5"].values[:2] == first.scores["ndcg@5"].values
    written = json.loads((tmp_path / "out" / "reproduction.json").read_text())
    ours = written["scores"]["recall@5"]
    assert ours["mean"] == fmean(ours["values"])
    assert ours["deviation"] == stdev(ours["values"])
    assert (written["n"], written["seeds"], written["row"]) == (3, [0, 1, 2], "baby/lightgcn/bsam+")
    assert written["settings"]["split"] == {"method": "given"}
    assert "24, 18, 144" in written["warning"]
    page = (tmp_path / "out" / "reproduction.md").read_text()
    assert "0.0524" in page
    assert written["warning"] in page


def test_what_the_paper_does_not_have_has_no_reported_value():
    results = [{"test": dict.fromkeys(("recall@5", "recall@10", "ndcg@5", "ndcg@10"), 0.1)}]
    assert {score.reported for score in scores_of(None, results).values()} == {None}


def test_counts_of_the_paper_give_no_warning(monkeypatch):
    dataset = block_dataset(blocks=3, users=8, items=6)
    counts = {"counts": {"baby": [24, 18, 144]}}
    monkeypatch.setattr("flatrec.research.reproduction.run.paper_settings", lambda: counts)
    assert differing_counts(ROW, dataset) == ""


def test_seeds_must_differ(data, tmp_path):
    with pytest.raises(ValueError, match="different seeds"):
        reproduce("table2", ROW, data, tmp_path / "out", seeds=(1, 1))
