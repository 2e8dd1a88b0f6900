"""flatrec reproduce."""

from __future__ import annotations

import json

from flatrec import config

ROW = ("reproduce", "table2", "--row", "baby/lightgcn/bsam+")


def test_without_a_row_the_rows_are_listed(flatrec):
    listed = flatrec("reproduce").out.split()
    assert len(listed) == 135
    assert "baby/lightgcn/bsam+" in listed
    assert json.loads(flatrec("reproduce", "table8", "--json").out)["rows"]


def test_a_dry_run_prints_the_experiment_and_trains_nothing(flatrec, tmp_path):
    outcome = flatrec(*ROW, "--dry-run", "--out", tmp_path / "out")
    (tmp_path / "experiment.toml").write_text(outcome.out)
    experiment = config.read(tmp_path / "experiment.toml")
    assert outcome.code == 0
    assert (experiment.data, experiment.model.name, experiment.strategy.options["rho"]) == ("baby", "lightgcn", 0.1)
    assert not (tmp_path / "out").exists()


def test_errors_are_one_line_with_the_nearest_name(flatrec):
    for words, expected in (
        (("reproduce", "table2", "--row", "baby/lightgn/bsam+"), "did you mean baby/lightgcn/bsam+?"),
        (("reproduce", "tabel2"), "did you mean table2?"),
        (ROW, "--data"),
    ):
        outcome = flatrec(*words)
        assert outcome.code != 0
        assert expected in outcome.err
        assert len(outcome.err.strip().splitlines()) == 1


def test_tiny_data_are_trained_and_shown_beside_the_reported_values(flatrec, blocks, tmp_path):
    outcome = flatrec(*ROW, "--data", blocks, "--seeds", "1", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert "0.0524" in outcome.out
    assert "Table I of the paper counts 19,445, 7,050, 160,792" in outcome.err
    assert (tmp_path / "out" / "reproduction.json").exists()
