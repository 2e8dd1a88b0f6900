"""The tables of a season, worked by hand."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from flatrec.research.league import Finished, Plan
from flatrec.research.league.cost import budget_in, is_dominated, pareto, within_budget
from flatrec.research.league.curve import Point
from flatrec.research.league.runs import runs_of
from flatrec.research.league.tables import budget_table, cost_table, finals_table, robustness_table
from flatrec.research.league.trial_tables import chosen_table, space_table, trials_table
from flatrec.research.sweeps.space import Choices, Range
from tests.research.league.made import BASE, final, finished, joined, league, trial


def of_cell(records, of=None):
    of = of or league()
    return [runs for (cell, _), runs in runs_of(of, records).items() if cell == "cell"]


def cells(table, name):
    """The row of a method, by column; of columns with the same name the last."""
    (row,) = [row for row in table.rows if row[0] == name]
    return dict(zip((column.name for column in table.columns), row, strict=True))


def test_finals_are_means_and_deviations_over_seeds():
    records = finished({"base": (0.1, 0.3, 0.2, None), "new": (0.24, 0.24)})
    table = finals_table(league(), of_cell(records), ["recall@20", "ndcg@20"])
    names = ["method", "n", "Recall@20", "deviation", "against base", "NDCG@20", "deviation"]
    assert [column.name for column in table.columns] == names
    base, new = table.rows
    assert base == ("base", 3, *(pytest.approx(x) for x in (0.2, 0.1)), None, *(pytest.approx(x) for x in (0.1, 0.05)))
    assert new[:2] == ("new", 2)
    assert new[2:5] == (pytest.approx(0.24), pytest.approx(0.0), pytest.approx(0.2))


def test_a_single_final_has_no_deviation_and_none_has_no_mean():
    records = finished({"base": (0.2,)}, new=(0.1, 0.2))
    base, new = finals_table(league(), of_cell(records), ["recall@20"]).rows
    assert base == ("base", 1, 0.2, None, None)
    assert new == ("new", 0, None, None, None)


def test_robustness_is_what_is_left_on_the_mean_over_draws():
    finals = (final("base", 1, 0.2, left=(0.1, 0.14)), final("base", 2, 0.4, left=(0.2, 0.2)), final("new", 1, 0.5))
    records = replace(finished({"base": (), "new": ()}), finals=finals)
    table = robustness_table(league(), of_cell(records), "recall@20")
    base, new = table.rows
    assert base == ("base", 2, pytest.approx(55.0), pytest.approx(math.sqrt(50.0)))  # 60 % and 50 %
    assert new == ("new", 1, None, None)
    assert robustness_table(league(), of_cell(finished({"base": BASE})), "recall@20") is None


def test_costs_are_relative_to_the_first_method():
    changes = {"gradients_per_step": 2.0, "seconds": 30.0, "epochs": 3}
    of_new = tuple(final("new", seed, 0.3, **changes) for seed in (1, 2, 3))
    finals = (final("base", 1, 0.2), final("base", 2, 0.2, seconds=1200.0), *of_new)
    records = replace(finished({"base": (), "new": ()}), finals=finals)
    table = cost_table(of_cell(records), "recall@20")
    base, new = table.rows
    # Four epochs of ten steps in 8 seconds, in two trials and a final; the other final had to wait.
    # Three epochs of ten steps of two gradients in 30 seconds, in three finals; the two trials are in the minority.
    assert base == ("base", 2, 4.0, 40.0, 1.0, 8.0, 1.0, 2.0, 1.0, 16.0, "yes")
    assert new == ("new", 3, 3.0, 60.0, 1.5, 30.0, 3.75, 10.0, 5.0, 80.0, "yes")


def test_before_any_final_a_cost_is_unknown():
    base, _ = cost_table(of_cell(finished({}, base=(0.1, 0.2))), "recall@20").rows
    assert base == ("base", 0, *[None] * 9)[:2] + (None,) * 8 + ("",)


def curve(*points):
    return tuple(Point(epoch, gradients, 1.0, score) for epoch, gradients, score in points)


def test_at_an_equal_budget_runs_count_with_what_they_had_reached():
    finals = (
        final("base", 1, 0.2, curve=curve((2, 20.0, 0.10), (4, 40.0, 0.20))),
        final("base", 2, 0.2, curve=curve((2, 20.0, 0.30), (4, 40.0, 0.20))),
        final("new", 1, 0.3, gradients_per_step=2.0, curve=curve((2, 40.0, 0.25), (4, 80.0, 0.50))),
        final("new", 2, 0.3, gradients_per_step=2.0, curve=curve((3, 41.0, 0.45))),
    )
    records = replace(finished({"base": (), "new": ()}), finals=finals)
    runs = runs_of(league(), records)
    assert budget_in(league(), runs, "cell") == 40.0
    table = budget_table(league(), runs, "cell", "recall@20")
    base, new = table.rows
    assert base == ("base", 2, pytest.approx(0.25), pytest.approx(0.05 * math.sqrt(2)), None, 40.0)
    assert new == ("new", 1, 0.25, None, pytest.approx(0.0), 80.0)
    assert "validation, not on the test split" in table.note
    assert "40 gradients, those of the longest final of base" in table.note
    assert within_budget(runs["cell", "new"], 100.0) == {1: 0.50, 2: 0.45}


def test_the_budget_is_that_of_the_rules_or_of_the_method_that_they_name():
    records = finished({"base": (0.2,), "new": ()})
    records = joined(records, Finished((), (final("new", 1, 0.3, gradients_per_step=3.0),)))
    named = league(budget_of="new")
    assert budget_in(named, runs_of(named, records), "cell") == 120.0
    stated = league(budget=70)
    assert budget_in(stated, runs_of(stated, records), "cell") == 70.0
    assert "70 gradients, those of the rules" in budget_table(stated, runs_of(stated, records), "cell", "ndcg@20").note
    nothing = finished({}, base=(0.1, 0.2))
    assert budget_table(league(), runs_of(league(), nothing), "cell", "recall@20") is None


def test_the_winner_and_its_settings():
    records = Finished((trial("base", 0, None), trial("base", 1, 0.3), trial("new", 0, 0.2)), ())
    table = chosen_table(of_cell(records))
    base, new = (cells(table, name) for name in ("base", "new"))
    assert (base["trials"], base["of"], base["diverged"], base["points of the space"]) == (2, 2, 1, 6)
    assert (base["winner"], base["validation"]) == (1, 0.3)
    assert base["chosen settings"] == "optimizer.lr = 0.02, regularization.weight = 0"
    assert (new["trials"], new["winner"], new["chosen settings"]) == (1, None, "new: 1 of 2 trials")


def test_every_trial_has_its_validation_score():
    records = Finished((trial("base", 1, None), trial("base", 0, 0.3), trial("new", 1, 0.2)), ())
    table = trials_table(of_cell(records), "recall@20")
    assert table.rows == (("base", 0.3, "diverged", 0.3), ("new", None, 0.2, None))


def test_spaces_are_listed_once_for_each_model():
    of = league(cells=("cell", "other"))
    ranged = Plan({"strategy.name": "plain"}, {"optimizer.lr": Range(0.001, 0.1, log=True)})
    of = replace(of, methods=(of.methods[0], replace(of.methods[1], plan=ranged, reason="it has no penalty")))
    table = space_table(of, list(runs_of(of, Finished((), ())).values()))
    base, new = (cells(table, name) for name in ("base", "new"))
    assert len(table.rows) == 2
    assert (base["points"], base["trials choose from"]) == (
        6,
        "optimizer.lr: 0.001, 0.01, 0.1; regularization.weight: 0, 0.01",
    )
    assert (new["points"], new["trials choose from"]) == (None, "optimizer.lr: 0.001 to 0.1, logarithmic")
    assert new["why the space lacks something"] == "it has no penalty"
    assert isinstance(of.methods[0].plan.space["optimizer.lr"], Choices)


def test_dominated_methods_against_a_brute_force():
    grid = list(itertools.product((1.0, 2.0, 3.0), (0.1, 0.2, 0.3)))
    for points in itertools.combinations(grid, 4):
        for cost, quality in points:
            others = [(c, q) for c, q in points if (c < cost and q >= quality) or (c <= cost and q > quality)]
            assert is_dominated((cost, quality), points) == bool(others)


def test_equal_methods_do_not_dominate_each_other():
    records = finished({"base": (0.2,), "new": (0.2,)})
    assert [point.is_dominated for point in pareto(of_cell(records), "recall@20")] == [False, False]


def test_where_lower_is_better_the_lower_value_dominates():
    finals = [replace(final(name, 1, 0.2), test={"gini@20": x}) for name, x in (("base", 0.5), ("new", 0.4))]
    records = replace(finished({"base": (), "new": ()}), finals=tuple(finals))
    assert [point.is_dominated for point in pareto(of_cell(records), "gini@20")] == [True, False]
