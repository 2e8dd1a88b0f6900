"""Rows of Table IV."""

from __future__ import annotations

import json
from statistics import fmean

import pytest

from flatrec.research.reporting.study_result import read_study_result
from flatrec.research.reproduction import find_row, paper_experiment, reproduce_noise
from flatrec.research.reproduction.noise import NoiseScore
from flatrec.runs.run_dir import read_result

ROW = find_row("table4", "baby/freedom/bsam+")


def test_the_drop_of_the_paper_is_that_of_its_values():
    score = NoiseScore("bsam+", 1e-6, 2, 0.5, 0.4, 0.2, 0.0, None, 0.0661, 0.0655)
    assert score.reported_drop == pytest.approx(0.0006 / 0.0661)  # the paper prints 0.91 %
    assert NoiseScore("bsam+", 1e-6, 2, 0.5, 0.4, 0.2, 0.0, None, 0.0661, None).reported_drop is None


def test_a_row_has_the_experiment_of_table_ii():
    assert paper_experiment(ROW) == paper_experiment(find_row("table2", ROW.name))


@pytest.mark.usefixtures("two_epochs")
def test_tiny_data_end_to_end_and_resumed(data, tmp_path, monkeypatch):
    monkeypatch.setattr("flatrec.research.reproduction.noise.DRAWS", 1)
    out = tmp_path / "out"
    result = reproduce_noise(ROW, data, out, seeds=(0, 1))
    assert [(one.strategy, one.variance) for one in result.scores] == [
        (strategy, variance) for variance in (1e-6, 1e-5, 1e-4) for strategy in ("plain", "bsam+")
    ]
    runs = [path.parent for path in (out / "runs").rglob("result.json")]
    assert len(runs) == 4
    recalls = {"plain": [], "bsam+": []}
    for run in runs:
        found = read_result(run)
        recalls[found["settings"]["strategy"]["name"]].append(found["test"]["recall@10"])
    for one in result.scores:
        assert one.before == pytest.approx(fmean(recalls[one.strategy]))
        assert one.n == 2
    assert {one.p for one in result.scores if one.strategy == "plain"} == {None}
    assert [one.reported_before for one in result.scores] == [0.0627, 0.0661] * 3
    assert [one.reported_after for one in result.scores] == [0.0597, 0.0655, 0.0592, 0.0650, 0.0581, 0.0641]
    written = json.loads((out / "reproduction.json").read_text())
    assert (written["table"], written["row"], len(written["scores"])) == ("table4", "baby/freedom/bsam+", 6)
    assert "Table I of the paper counts 19,445" in written["warning"]
    assert "| plain | 1e-06 | 2 |" in (out / "reproduction.md").read_text()
    kinds = {row[2] for row in read_study_result(out).tables[0].rows}
    assert kinds == {"features", "embeddings"}  # Table III, whose values are not known
    times = {run: (run / "result.json").stat().st_mtime_ns for run in runs}
    assert reproduce_noise(ROW, data, out, seeds=(0, 1)) == result
    assert times == {run: (run / "result.json").stat().st_mtime_ns for run in runs}
    with pytest.raises(ValueError, match="at least 2 different ones"):
        reproduce_noise(ROW, data, out, seeds=(0,))
