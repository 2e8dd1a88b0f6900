"""flatrec reproduce."""

from __future__ import annotations

import json

from flatrec import config
from flatrec.research.league import read_league
from flatrec.research.reproduction import NoiseReproduction, TunedReproduction, find_row
from flatrec.research.reproduction.noise import NoiseScore
from flatrec.research.reproduction.run import Score
from flatrec.research.reproduction.tuned import TunedMethod

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
        ((*ROW, "--trials", "4"), "--trials is the number of trials of --tuned"),
        ((*ROW, "--tuned", "--trials", "0", "--dry-run"), "--trials must lie between 1 and 10000, but is 0"),
        ((*ROW, "--tuned", "--seeds", "1", "--dry-run"), "final_seeds must be at least two different seeds"),
        (
            ("reproduce", "table5", "--row", "pet/dragon/bsam/batch-4096", "--tuned", "--dry-run"),
            "varies the batch size",
        ),
        (("reproduce", "table4", "--row", "baby/freedom/bsam", "--tuned", "--dry-run"), "adds noise to features"),
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


def test_a_dry_run_of_a_tuned_row_prints_the_league(flatrec, tmp_path):
    outcome = flatrec(*ROW, "--tuned", "--trials", "5", "--seeds", "3", "--dry-run", "--out", tmp_path / "out")
    (tmp_path / "league.toml").write_text(outcome.out)
    league = read_league(tmp_path / "league.toml", {"baby": "elsewhere"})
    assert [method.name for method in league.methods] == ["plain", "bsam+", "plain l2"]
    assert (league.rules.n_trials, league.rules.final_seeds, league.cells[0].data) == (5, (1, 2, 3), "elsewhere")
    assert not (tmp_path / "out").exists()


def test_a_tuned_row_and_a_row_under_noise_are_shown_beside_the_reported_values(flatrec, blocks, tmp_path, monkeypatch):
    score = Score(0.5, 0.25, (0.25, 0.75), 0.0524, suspect=False)
    tuned = TunedReproduction(
        "table2",
        find_row("table2", ROW[-1]),
        (1, 2),
        (TunedMethod("bsam+", 8, 1280, {"strategy.rho": 0.2}, {"recall@10": score}),),
        "",
        (("final, seed 2", "no space left"),),
    )
    noisy = NoiseReproduction(
        find_row("table4", "baby/freedom/bsam"),
        (0, 1),
        (NoiseScore("bsam", 1e-5, 2, 0.08, 0.06, 0.25, 0.0, None, 0.0650, 0.0633),),
        "",
    )
    asked = []
    module = "flatrec.research.reproduction"
    monkeypatch.setattr(f"{module}.reproduce_tuned", lambda *words, **options: asked.append((words, options)) or tuned)
    monkeypatch.setattr(f"{module}.reproduce_noise", lambda *words, **options: asked.append((words, options)) or noisy)
    out = " ".join(flatrec(*ROW, "--tuned", "--data", blocks, "--out", tmp_path).out.split())
    assert "bsam+ │ 8 │ 1280 │ strategy.rho=0.2" in out
    assert "recall@10 │ bsam+ │ 8 │ 0.5000 │ 0.2500 │ 2 │ 0.0524" in out
    assert "failed: final, seed 2: no space left" in out
    words = ("reproduce", "table4", "--row", "baby/freedom/bsam", "--data", blocks, "--seeds", "2", "--out", tmp_path)
    out = " ".join(flatrec(*words).out.split())
    assert "bsam │ 1e-05 │ 2 │ 0.0800 │ 0.0650 │ 0.0600 │ 0.0633 │ +25.0 % │ 0.0 % │ +2.6 %" in out
    assert json.loads(flatrec(*words, "--json").out)["scores"][0]["reported_after"] == 0.0633
    (_, of_tuned), (of_noise, options), _ = asked
    assert (of_tuned["n_trials"], of_tuned["n_seeds"]) == (8, 5)
    assert (of_noise[0].name, options["seeds"], options["device"]) == ("baby/freedom/bsam", (0, 1), "auto")
