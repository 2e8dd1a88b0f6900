"""Verdicts, worked by hand; and what is said of runs that are missing."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise

import pytest

from flatrec.research.league import Comparison, Finished
from flatrec.research.league.runs import runs_of
from flatrec.research.league.verdict import DEPENDS, NO_SPREAD, verdicts
from tests.research.league.made import BASE, SEEDS, final, finished, joined, league, plus, trial
from tests.research.league.test_power import beyond

UNDER = (Comparison("new", "base", "recall@20", under="vectors=0.5"),)
STEPS = (0.01, 0.02, 0.03, 0.02, 0.02)  # mean 0.02, deviation sqrt(0.0002 / 4), t = 0.02 / sqrt(0.0002 / 20)


def judged(records, of=None):
    of = of or league()
    return verdicts(of, runs_of(of, records))


def test_difference_deviation_t_and_p_are_those_worked_by_hand():
    (one,) = judged(finished({"base": BASE, "new": plus(BASE, STEPS)}))
    assert one.seeds == SEEDS
    assert one.mean == pytest.approx(0.26, abs=1e-12)
    assert one.baseline_mean == pytest.approx(0.24, abs=1e-12)
    assert one.difference == pytest.approx(0.02, abs=1e-12)
    assert one.relative(one.difference) == pytest.approx(1 / 12, abs=1e-12)
    assert one.deviation == pytest.approx(math.sqrt(0.00005), abs=1e-12)
    assert one.t == pytest.approx(math.sqrt(40), abs=1e-9)
    assert one.p == one.corrected_p == pytest.approx(beyond(math.sqrt(40)), abs=1e-10)
    assert (one.word, one.notes) == ("confirmed", ())
    # Five seeds need a noncentrality of 3.7611 (bisection of its integral, as in test_power).
    assert one.detectable == pytest.approx(3.76106 * math.sqrt(0.00005 / 5), rel=1e-6)
    assert one.corrected_detectable == one.detectable  # it is the only test


def test_a_worse_method_contradicts():
    (one,) = judged(finished({"base": plus(BASE, STEPS), "new": BASE}))
    assert (one.word, one.t) == ("contradicted", pytest.approx(-math.sqrt(40), abs=1e-9))


def test_where_lower_is_better_a_lower_value_confirms():
    of = league(comparisons=[Comparison("new", "base", "gini@20")])
    records = finished({"base": plus(BASE, STEPS), "new": BASE})
    finals = tuple(replace(one, test={"gini@20": one.test["recall@20"]}) for one in records.finals)
    assert [one.word for one in judged(replace(records, finals=finals), of)] == ["confirmed"]


def test_what_is_left_under_a_disturbance_is_compared_as_a_fraction():
    records = finished({"base": (), "new": ()})
    finals = [final("base", seed, 0.2, left=(0.10, 0.14)) for seed in SEEDS]  # 0.12 of 0.2 is left
    finals += [final("new", seed, 0.1, left=(0.07 + step, 0.07)) for seed, step in zip(SEEDS, STEPS, strict=True)]
    (one,) = judged(replace(records, finals=tuple(finals)), league(comparisons=UNDER))
    assert one.baseline_values == pytest.approx([0.6] * 5, abs=1e-12)
    assert one.values == pytest.approx([0.7 + step / 0.2 for step in STEPS], abs=1e-12)
    assert one.difference == pytest.approx(0.2, abs=1e-12)
    assert one.word == "confirmed"


def test_all_tests_of_the_season_are_corrected_together():
    of = league(("base", "a", "b", "c"), [Comparison(name, "base", "recall@20") for name in "abc"])
    # The same differences around other means: t = mean / sqrt(0.00005 / 5).
    shifts = {"a": 0.0, "b": -0.01, "c": -0.012}
    values = {name: plus(BASE, [step + shift for step in STEPS]) for name, shift in shifts.items()}
    a, b, c = judged(finished({"base": BASE, **values}), of)
    p = [beyond((0.02 + shift) / math.sqrt(0.00001)) for shift in shifts.values()]
    assert [one.p for one in (a, b, c)] == pytest.approx(p, abs=1e-10)
    assert a.corrected_p == pytest.approx(3 * p[0], abs=1e-10)
    assert b.corrected_p == pytest.approx(2 * p[1], abs=1e-10)
    assert c.corrected_p == pytest.approx(max(2 * p[1], p[2]), abs=1e-10)
    assert [one.word for one in (a, b, c)] == ["confirmed", "not shown", "not shown"]
    assert a.n_tests == 3
    assert a.corrected_detectable > 1.3 * a.detectable


def test_open_tests_count_with_p_1_and_leave_open_what_depends_on_them():
    of = league(("base", "a", "b"), [Comparison(name, "base", "recall@20") for name in "ab"])
    shifted = plus(BASE, [step - 0.009 for step in STEPS])  # p is below 0.05, and twice as much is above
    p = beyond(0.011 / math.sqrt(0.00001))
    assert 0.025 < p < 0.05
    a, b = judged(finished({"base": BASE, "a": shifted}, b=()), of)
    assert (a.word, b.word) == ("open", "open")
    assert a.corrected_p == pytest.approx(2 * p, abs=1e-10)
    assert a.notes == (DEPENDS,)
    assert b.p is None
    # Once all trials of b diverged, there is no second test.
    a, b = judged(finished({"base": BASE, "a": shifted}, b=(None, None)), of)
    assert (a.word, a.corrected_p) == ("confirmed", pytest.approx(p, abs=1e-10))
    assert (b.word, b.notes) == ("no test", ("b: all 2 trials diverged",))


def test_no_verdict_changes_as_runs_come_in():
    names = tuple("abcdef")
    of = league(names, [Comparison(one, other, "recall@20") for one, other in pairwise(names)])
    seen = set()
    for number in range(12):
        draw = random.Random(number)
        means = {name: draw.choice((0.0, 0.01, 0.05)) for name in names}
        rows = {name: plus(BASE, [means[name] + draw.gauss(0, 0.004) for _ in SEEDS]) for name in names}
        whole = judged(finished(rows), of)
        known = {name: row for name, row in rows.items() if draw.random() < 0.7}
        part = judged(finished(known, **{name: (0.1,) for name in names if name not in known}), of)
        for before, after in zip(part, whole, strict=True):
            seen.add((before.word, after.word))
            assert before.word in ("open", after.word)
    assert {("confirmed", "confirmed"), ("not shown", "not shown"), ("open", "confirmed")} <= seen


@pytest.mark.parametrize(
    ("records", "word", "notes"),
    [
        pytest.param(Finished((), ()), "open", ("new: 0 of 2 trials", "base: 0 of 2 trials"), id="nothing is run"),
        pytest.param(
            finished({"base": BASE, "new": BASE[:3]}), "open", ("new: no finals of seeds 4 and 5",), id="finals missing"
        ),
        pytest.param(finished({"base": BASE}, new=(0.1,)), "open", ("new: 1 of 2 trials",), id="a trial is missing"),
        pytest.param(
            finished({"base": BASE}, new=(None, None)), "no test", ("new: all 2 trials diverged",), id="no trial trains"
        ),
        pytest.param(
            finished({"base": BASE, "new": (None, None, None, None, 0.3)}),
            "no test",
            ("new: diverged finals of seeds 1, 2, 3 and 4", "only seed 5 is left"),
            id="one final trains",
        ),
    ],
)
def test_what_is_missing_is_said(records, word, notes):
    (one,) = judged(records)
    assert (one.word, one.notes) == (word, notes)
    assert one.p is one.t is one.corrected_p is None


def test_finals_that_are_there_are_shown_before_the_test():
    (one,) = judged(finished({"base": BASE, "new": plus(BASE[:3], STEPS[:3])}))
    assert one.seeds == (1, 2, 3)
    assert one.difference == pytest.approx(0.02, abs=1e-12)
    assert one.deviation == pytest.approx(0.01, abs=1e-12)


def test_a_final_that_diverged_leaves_its_seed_out():
    (one,) = judged(finished({"base": BASE, "new": (None, *plus(BASE, STEPS)[1:])}))
    assert one.seeds == (2, 3, 4, 5)
    assert one.notes == ("new: diverged final of seed 1",)
    # Differences 0.02, 0.03, 0.02, 0.02: mean 0.0225, deviation 0.005.
    assert one.t == pytest.approx(0.0225 / (0.005 / 2), abs=1e-9)
    assert one.word == "confirmed"


def test_a_disturbance_without_scores_is_no_test():
    (one,) = judged(finished({"base": BASE, "new": BASE}), league(comparisons=UNDER))
    assert one.word == "no test"
    assert one.notes == (
        "new: finals without scores under vectors=0.5, which may not apply to lightgcn",
        "base: finals without scores under vectors=0.5, which may not apply to lightgcn",
    )


def test_a_final_without_the_metric_leaves_its_seed_out():
    records = finished({"base": BASE, "new": plus(BASE, STEPS)})
    finals = tuple(
        replace(one, test={**one.test, "recall@20": math.nan}) if (one.method, one.seed) == ("base", 2) else one
        for one in records.finals
    )
    (one,) = judged(replace(records, finals=finals))
    assert one.seeds == (1, 3, 4, 5)
    assert one.notes == ("base: final of seed 2 without recall@20",)


def test_without_any_spread_there_is_no_p():
    (one,) = judged(finished({"base": (0.5, 0.25, 0.75, 0.5, 0.25), "new": (0.75, 0.5, 1.0, 0.75, 0.5)}))
    assert (one.word, one.p, one.detectable, one.notes) == ("not shown", None, None, (NO_SPREAD,))
    assert one.difference == 0.25


def test_equal_values_show_nothing():
    (one,) = judged(finished({"base": BASE, "new": BASE}))
    assert (one.word, one.p, one.t, one.detectable) == ("not shown", 1.0, None, None)


def test_a_comparison_keeps_to_its_cells():
    of = league(cells=("cell", "other"), comparisons=[Comparison("new", "base", "recall@20", cells=("other",))])
    records = joined(finished({"base": BASE, "new": BASE}), finished({"base": BASE, "new": plus(BASE, STEPS)}, "other"))
    (one,) = judged(records, of)
    assert (one.cell, one.word) == ("other", "confirmed")


def test_the_order_of_the_records_does_not_matter():
    records = joined(finished({"base": BASE, "new": plus(BASE, STEPS)}), Finished((), ()))
    mixed = Finished(tuple(reversed(records.trials)), tuple(reversed(records.finals)))
    assert judged(mixed) == judged(records)
    assert trial("new", 0, 0.1) in records.trials
