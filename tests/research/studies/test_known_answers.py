"""What studies conclude, where the answer is known beforehand."""

from __future__ import annotations

import shutil
from dataclasses import replace
from statistics import fmean, stdev

import pytest
from scipy import stats

from flatrec.config import Evaluation, Experiment
from flatrec.research.studies import STUDIES, Request, Study, run_study
from flatrec.research.studies.base import FinishedRun, PlannedRun, Source
from flatrec.research.studies.comparisons import compare_groups, findings_of, long_table, wide_table
from flatrec.research.studies.metric_drops import metric_drops, table

PLACE = ("data", "model")
METRIC = "recall@10"


def finished(scores, *, measured=None, **labels):
    """Runs by strategy, one a seed, that scored so on the test part."""
    request = Request(("d",), ("freedom",), ("plain",), (0,))
    return [
        FinishedRun(
            PlannedRun(
                {"data": "d", "model": "freedom", "strategy": strategy, **labels, "seed": seed},
                Source("d"),
                request.experiment("freedom", strategy, seed),
            ),
            "Baby",
            "fingerprint",
            {"test": {METRIC: score}},
            measured=(measured or {}).get((strategy, seed), {}),
        )
        for strategy, values in scores.items()
        for seed, score in enumerate(values)
    ]


SCORES = {
    "plain": [0.30, 0.31, 0.335, 0.32, 0.28],
    "plain+": [0.31, 0.30, 0.34, 0.33, 0.29],
    "bsam": [0.33, 0.335, 0.36, 0.35, 0.31],
    "bsam+": [0.36, 0.37, 0.40, 0.385, 0.34],
}


def test_comparisons_are_those_of_scipy_corrected_by_holm():
    rows = compare_groups(finished(SCORES), PLACE)
    pairs = [(row.group[-1], row.baseline) for row in rows]
    assert pairs == [
        ("plain", ""), ("plain+", "plain"), ("bsam", "plain"), ("bsam+", "plain"), ("bsam+", "plain+"),
    ]  # fmt: skip
    for name, test in (("t_p", stats.ttest_rel), ("wilcoxon_p", stats.wilcoxon)):
        expected = stepped_down({pair: float(test(*map(SCORES.get, pair)).pvalue) for pair in pairs if pair[1]})
        found = {pair: getattr(row, name) for row, pair in zip(rows, pairs, strict=True)}
        assert found == {pair: pytest.approx(expected[pair]) if pair[1] else None for pair in pairs}
    for row, (strategy, baseline) in zip(rows, pairs, strict=True):
        if baseline:
            assert row.gain == pytest.approx(fmean(SCORES[strategy]) / fmean(SCORES[baseline]) - 1)


def stepped_down(p_values):
    """Holm's correction: the smallest p times their number, the next times one less, never falling, at most 1."""
    ordered = sorted(p_values, key=p_values.get)
    steps = [p_values[one] * (len(ordered) - rank) for rank, one in enumerate(ordered)]
    return {one: min(1.0, max(steps[: rank + 1])) for rank, one in enumerate(ordered)}


def test_runs_are_paired_by_seed_whatever_their_order_and_gaps():
    whole = compare_groups(finished(SCORES), PLACE)
    assert compare_groups(finished(SCORES)[::-1], PLACE)[0].values == tuple(SCORES["bsam+"][::-1])
    lost = [one for one in finished(SCORES) if (one.label("strategy"), one.label("seed")) != ("plain", 2)]
    row = next(row for row in compare_groups(lost, PLACE) if row.group[-1] == "bsam")
    kept = [0, 1, 3, 4]
    assert row.paired_test.runs == 4
    assert row.paired_test.t_p == pytest.approx(
        stats.ttest_rel([SCORES["bsam"][n] for n in kept], [SCORES["plain"][n] for n in kept]).pvalue
    )
    assert whole[2].paired_test.runs == 5


def test_the_star_is_given_below_0_01_and_the_paper_stands_beside():
    rows = compare_groups(finished(SCORES), PLACE)
    wide = wide_table(rows, PLACE, name="n", title="t")
    starred = {line[2]: "*" in line[3] for line in wide.rows}
    assert starred == {
        row.group[-1]: row.t_p is not None and row.t_p < 0.01 for row in rows if row.baseline != "plain+"
    }
    assert starred["bsam+"]
    assert not starred["plain+"]
    long = long_table(rows, PLACE, name="n", title="t")
    place = [column.name for column in long.columns].index("reported")
    by_strategy = {row[2]: row[place] for row in long.rows}
    assert by_strategy["bsam+"] == 0.0661  # Table II


def test_words_name_what_is_clear_and_what_is_not():
    clear, *rest = findings_of(compare_groups(finished(SCORES), PLACE))
    assert "is above plain by" in clear
    assert any(sentence.startswith("Not significant in Recall@10: plain+ against plain") for sentence in rest)
    few = findings_of(compare_groups(finished({name: values[:3] for name, values in SCORES.items()}), PLACE))
    assert "3 runs; fewer than 5 runs are not a result" in few[-1]


def test_chosen_metrics_stand_beside_those_of_the_paper_and_a_gain_is_an_improvement():
    runs = [
        replace(run, result={"test": {**run.result["test"], "map@10": 0.1, "gini@10": 1 - run.result["test"][METRIC]}})
        for run in finished(SCORES)
    ]
    rows = compare_groups(runs, PLACE)
    assert {row.metric for row in rows} == {METRIC, "gini@10"}  # map is of the default, and studies leave it out
    row = next(one for one in rows if one.metric == "gini@10" and one.group[-1] == "bsam+" and one.baseline == "plain")
    mean, baseline = (fmean(1 - score for score in SCORES[name]) for name in ("bsam+", "plain"))
    assert row.gain == pytest.approx((baseline - mean) / baseline)
    assert row.gain > 0
    assert any(
        sentence.startswith("bsam+ against plain (d, freedom) is below plain by")
        for sentence in findings_of(rows, "gini@10")
    )
    for table_of in (wide_table, long_table):
        assert "Lower is better in gini" in table_of(rows, PLACE, name="n", title="t").note
        assert "Lower" not in table_of(compare_groups(finished(SCORES), PLACE), PLACE, name="n", title="t").note


def test_a_study_is_refused_without_the_metrics_that_it_reports():
    base = Experiment(evaluation=Evaluation(metrics=("recall", "gini")))
    with pytest.raises(ValueError, match="studies report recall and ndcg; add ndcg to evaluation.metrics"):
        Request(base=base).completed(STUDIES["generalization"])


def test_decreases_are_relative_averaged_over_draws_and_tested_over_seeds():
    draws = {
        (name, seed): {"noise": {"features": {"0.1": [{METRIC: score * kept}, {METRIC: score * (kept - 0.02)}]}}}
        for name, kept_of in {"plain": (0.9, 0.8, 0.85), "bsam": (0.95, 0.94, 0.9)}.items()
        for seed, (score, kept) in enumerate(zip(SCORES[name][:3], kept_of, strict=True))
    }
    scores = {name: SCORES[name][:3] for name in ("plain", "bsam")}
    plain, bsam = metric_drops(finished(scores, measured=draws), "noise", METRIC)
    assert plain.drops == pytest.approx((0.11, 0.21, 0.16))
    assert bsam.drops == pytest.approx((0.06, 0.07, 0.11))
    assert plain.p is None
    assert bsam.p == pytest.approx(stats.ttest_rel(bsam.drops, plain.drops).pvalue)
    (cells, _) = table([plain, bsam], name="n", title="t", metric=METRIC).rows
    assert cells[8:10] == pytest.approx((fmean(plain.drops), stdev(plain.drops)))


def test_a_seed_that_scores_nothing_has_nothing_to_lose():
    draws = {
        (name, seed): {"noise": {"features": {"0.1": [{METRIC: 0.15}]}}}
        for name in ("plain", "bsam") for seed in range(3)
    }  # fmt: skip
    rows = metric_drops(finished({"plain": [0.3, 0.2, 0.3], "bsam": [0.3, 0.0, 0.2]}, measured=draws), "noise", METRIC)
    assert [len(row.drops) for row in rows] == [3, 2]
    assert rows[1].p == pytest.approx(stats.ttest_rel([0.5, 0.25], [0.5, 0.5]).pvalue)


@pytest.mark.parametrize(
    "study", [STUDIES["noise"](variances=(0.0,), draws=2), STUDIES["adjustment"](fractions=(0.0,))]
)
def test_no_disturbance_is_no_decrease(request_for, tmp_path, study: Study):
    found = run_study(study, tmp_path, request_for(models=("freedom", "lgmrec")))
    decrease = [column.name for column in found.tables[0].columns].index("drop")
    assert {row[decrease] for row in found.tables[0].rows} == {0.0}


def test_one_split_is_its_own_mean(request_for, tmp_path):
    found = run_study(STUDIES["generalization"](), tmp_path, request_for(seeds=(996,)))
    spreads = next(one for one in found.tables if one.name == "generalization-spread")
    assert [row[3] for row in spreads.rows] == [1, 1]
    for row in spreads.rows:
        _, _, _, _, mean, deviation, low, high, p = row
        assert mean == low == high
        assert (deviation, p) == (0.0, None)


def test_splits_differ_but_hold_the_same_pairs(request_for):
    one, other = (
        plan.source.load().interactions
        for plan in STUDIES["generalization"]().plan(request_for(strategies=("plain",), seeds=(996, 997)))
    )
    assert set(one.flat_indices(one.users, one.items)) == set(other.flat_indices(other.users, other.items))
    assert (one.splits != other.splits).any()
    again = STUDIES["generalization"]().plan(request_for(strategies=("plain",), seeds=(996,)))[0].source.load()
    assert (again.interactions.splits == one.splits).all()


def test_tables_name_the_data_set_unless_two_have_one_name(request_for, tmp_path, shop):
    found = run_study(STUDIES["overall"](), tmp_path / "one", request_for())
    assert {row[0] for row in found.tables[0].rows} == {"shop"}
    assert all(str(shop) not in sentence for sentence in found.findings)
    twin = shutil.copytree(shop, tmp_path / "twin" / "shop")
    asked = replace(request_for(), data=(str(shop), str(twin)))
    found = run_study(STUDIES["overall"](), tmp_path / "two", asked)
    assert {row[0] for row in found.tables[0].rows} == {str(shop), str(twin)}
