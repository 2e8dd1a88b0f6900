"""Every method of a row tuned by equally many trials, beside the reported value."""

from __future__ import annotations

import json
from statistics import fmean, stdev

import pytest

from flatrec.registry.instantiate import with_defaults
from flatrec.research.league import read_league
from flatrec.research.league.season import read_season
from flatrec.research.league.settings import check_league, experiment_of, space_of
from flatrec.research.league.spec import n_points
from flatrec.research.reproduction import find_row, paper_experiment, reproduce_tuned, rows_of, tuned_league
from flatrec.research.reproduction.run import Score
from flatrec.research.reproduction.tuned import TunedMethod, TunedReproduction
from flatrec.research.reproduction.tuned_league import TUNABLE
from flatrec.research.sweeps.space import Choices

ROW = find_row("table2", "baby/lightgcn/bsam+")
ROWS = {row.name: row for table in TUNABLE for row in rows_of(table)}
CASES = [
    row
    for row in ROWS.values()
    if (row.dataset, row.strategy) == ("baby", "bsam+") or (row.dataset, row.model) == ("sports", "freedom")
]


def league_of(row, **options):
    return tuned_league(row, "data/baby", given_split=False, **options)


def spaces(league):
    return {method.name: space_of(league, league.cells[0], method) for method in league.methods}


def values(space):
    return {name: dimension.values for name, dimension in space.items()}


def test_the_league_of_lightgcn_has_three_methods_with_the_grids_of_the_paper():
    rates, dropouts = (3e-4, 1e-3, 3e-3, 1e-2), (0.0, 0.1, 0.3)
    own, squared = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6), (0.0, 1e-4, 1e-3, 1e-2, 3e-2)
    grid = (0.2, 0.4, 0.6, 0.8)
    assert {name: values(space) for name, space in spaces(league_of(ROW)).items()} == {
        "plain": {"optimizer.lr": rates, "model.reg_weight": own, "model.edge_dropout": dropouts},
        "bsam+": {
            "optimizer.lr": rates,
            "model.reg_weight": own,
            "strategy.rho": (0.05, 0.1, 0.15, 0.2),
            "strategy.lam": grid,
            "strategy.kappa": grid,
        },
        "plain l2": {"optimizer.lr": rates, "regularization.weight": squared, "model.edge_dropout": dropouts},
    }


@pytest.mark.parametrize("row", CASES, ids=lambda row: row.name)
def test_every_row_makes_a_league_with_equal_trials_and_comparable_spaces(row):
    league = league_of(row)
    check_league(league)
    sizes = {name: n_points(space) for name, space in spaces(league).items()}
    assert sorted(sizes) == sorted({"plain", row.strategy, "plain l2"})
    assert all(36 <= size <= 72 for name, size in sizes.items() if name.startswith("plain"))
    assert {space["optimizer.lr"] for space in spaces(league).values()} == {Choices((3e-4, 1e-3, 3e-3, 1e-2))}
    assert (league.rules.n_trials, league.rules.trial_seed, league.rules.final_seeds) == (8, 0, (1, 2, 3, 4, 5))


@pytest.mark.parametrize("row", CASES, ids=lambda row: row.name)
def test_what_is_not_tuned_is_as_in_the_paper(row):
    """A point that holds the paper's own values gives the paper's experiment."""
    league = league_of(row)
    cell, method = league.cells[0], league.method(row.strategy)
    paper = with_defaults(paper_experiment(row, "data/baby", seed=3))
    point = {}
    for name in space_of(league, cell, method):
        group, _, setting = name.partition(".")
        point[name] = getattr(paper, group).options[setting]
    assert experiment_of(league, cell, method, point, seed=3) == paper


def test_a_model_without_a_penalty_of_its_own_is_regularized_by_dropout():
    found = {name: values(space) for name, space in spaces(league_of(find_row("table2", "baby/freedom/bsam"))).items()}
    assert found["bsam"]["model.edge_dropout"] == found["plain l2"]["model.edge_dropout"] == (0.5, 0.8, 0.9)
    assert found["plain"].keys() == {"optimizer.lr", "model.edge_dropout", "model.message_dropout"}


def test_comparisons_are_stated():
    stated = [(one.method, one.baseline, one.metric) for one in league_of(ROW).comparisons]
    assert stated == [
        ("bsam+", "plain", "recall@10"),
        ("bsam+", "plain l2", "recall@10"),
        ("plain l2", "plain", "recall@10"),
    ]
    alone = league_of(find_row("table2", "baby/lightgcn/plain"))
    assert [(one.method, one.baseline) for one in alone.comparisons] == [("plain l2", "plain")]
    assert [method.name for method in alone.methods] == ["plain", "plain l2"]


def test_conditions_and_given_splits_reach_every_run():
    league = tuned_league(find_row("table6", "baby/freedom/bsam+/rmsprop"), "x", given_split=True)
    for method in league.methods:
        experiment = experiment_of(league, league.cells[0], method, {}, seed=1)
        assert (experiment.optimizer.name, experiment.split.method) == ("rmsprop", "given")


@pytest.mark.parametrize("table", ["table4", "table5"])
def test_tables_that_make_no_league_are_refused(table, data, tmp_path):
    with pytest.raises(ValueError, match=f"--tuned takes rows of table2, table6, table8, but {table}") as raised:
        reproduce_tuned(table, rows_of(table)[0], data, tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("two_epochs")
def test_tiny_data_end_to_end_and_resumed(data, tmp_path):
    out = tmp_path / "out"
    first = reproduce_tuned("table2", ROW, data, out, n_trials=1, n_seeds=2)
    assert [(one.name, one.trials, one.points) for one in first.methods] == [
        ("plain", 1, 60),
        ("bsam+", 1, 1280),
        ("plain l2", 1, 60),
    ]
    league = read_league(out / "league.toml")
    recorded = read_season(league, out)
    for one in first.methods:
        finals = [record for record in recorded.finals if record.method == one.name]
        scores = [record.test["recall@10"] for record in finals]
        score = one.scores["recall@10"]
        assert (score.values, score.mean, score.deviation) == (tuple(scores), fmean(scores), stdev(scores))
        assert one.chosen == finals[0].point
        assert [one.chosen] == [trial.point for trial in recorded.trials if trial.method == one.name]
    assert [one.scores["recall@10"].reported for one in first.methods] == [0.0479, 0.0524, None]
    written = json.loads((out / "tuned.json").read_text())
    assert (written["seeds"], [one["trials"] for one in written["methods"]]) == ([1, 2], [1, 1, 1])
    assert "Table I of the paper counts 19,445" in written["warning"]
    assert "| recall@10 | bsam+ | 1 |" in (out / "tuned.md").read_text()
    before = (out / "trials.jsonl").read_bytes(), (out / "finals.jsonl").read_bytes()
    assert reproduce_tuned("table2", ROW, data, out, n_trials=1, n_seeds=2) == first
    assert before == ((out / "trials.jsonl").read_bytes(), (out / "finals.jsonl").read_bytes())


def test_a_league_that_was_edited_is_not_replaced(data, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "league.toml").write_text('title = "mine"\n[cells.a]\ndata = "x"\n[methods.plain]\n')
    with pytest.raises(ValueError, match=r"another league .* run it by flatrec league") as raised:
        reproduce_tuned("table2", ROW, data, out)
    assert "\n" not in str(raised.value)
    assert (out / "league.toml").read_text().startswith('title = "mine"')


def test_a_method_without_finals_has_no_scores():
    score = Score(0.5, 0.1, (0.4, 0.6), 0.0524, suspect=False)
    methods = (TunedMethod("plain", 1, 60, {}, {}), TunedMethod("bsam+", 8, 1280, {"a.b": 1}, {"recall@10": score}))
    result = TunedReproduction("table2", ROW, (1, 2), methods, "", (("a run", "no space left"),))
    tuning, scores = result.as_tables()
    assert tuning.rows == (("plain", 1, 60, ""), ("bsam+", 8, 1280, "a.b=1"))
    assert scores.rows == (("recall@10", "bsam+", 8, 0.5, 0.1, 2, 0.0524),)
    assert "Fewer than 5 seeds are not a result." in scores.note
    assert result.as_dict()["failures"] == [{"run": "a run", "error": "no space left"}]


@pytest.mark.slow
def test_a_row_on_the_built_in_shop(tmp_path):
    """At the paper's settings; the most popular items alone reach 0.024 there."""
    result = reproduce_tuned("table2", ROW, "shop", tmp_path, n_trials=2, n_seeds=2)
    assert [one.name for one in result.methods] == ["plain", "bsam+", "plain l2"]
    assert all(0.11 < one.scores["recall@10"].mean < 0.15 for one in result.methods)
    assert result.failures == ()
