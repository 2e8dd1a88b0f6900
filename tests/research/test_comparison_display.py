"""Comparisons and studies in a notebook."""

from __future__ import annotations

import pytest

from flatrec.research.comparison import summarize
from flatrec.research.reporting.study_result import Column, Failure, StudyResult, Table
from tests.display.pages import HOSTILE, checked, rows, words

SCORES = {
    "plain": [0.10, 0.12, 0.11, 0.13, 0.12],
    "bsam": [0.13, 0.15, 0.14, 0.16, 0.1501],
    "sam": [0.1, 0.1, 0.1, 0.1, 0.1],
}
TABLE = Table(
    "scores",
    "Scores of all",
    (Column("data"), Column("strategy"), Column("recall@10", "number", best="highest"), Column("loss", best="lowest")),
    (("toys", "plain", 0.25, "0.5 ± 0.1"), ("toys", "bsam", 0.5, "0.25 ± 0.1"), ("books", "plain", 0.125, None)),
    "Over five seeds.",
    compares="strategy",
)


def comparison(scores=SCORES, metric="recall@10"):
    return summarize(
        {
            name: [
                {"test": {metric: value, "ndcg@10": 0.5}, "seed": seed, "model": "freedom", "data": {"name": "toys"}}
                for seed, value in enumerate(values)
            ]
            for name, values in scores.items()
        },
        {},
    )


def bold(tree):
    return ["".join(node.itertext()) for cell in tree.iter("td") for node in cell.iter("b")]


def test_the_best_mean_is_bold_and_what_is_significant_has_a_star():
    tree = checked(comparison()._repr_html_())
    head, recall, ndcg = rows(tree)
    assert head == ["metric", "plain", "bsam", "sam"]
    assert recall[0] == "recall@10"
    assert recall[1] == "0.1160 ± 0.0114"
    assert recall[2].startswith("0.1460 ± 0.0114+25.9\N{NO-BREAK SPACE}%*, p < 0.001 / 0.")
    assert recall[3].startswith("0.1000 ± 0.0000\N{MINUS SIGN}13.8\N{NO-BREAK SPACE}%, p 0.1 / 0.38")
    assert ndcg[1] == "0.5000 ± 0.0000"
    assert bold(tree) == ["0.1460"]  # and none of the equal means of NDCG
    assert words(tree).startswith("Comparison freedom on toys, seeds 0, 1, 2, 3, 4")
    assert "corrected by Holm" in words(tree)


def test_where_lower_is_better_the_lowest_mean_is_bold():
    tree = checked(comparison(metric="gini@10")._repr_html_())
    assert rows(tree)[1][0] == "gini@10"
    assert bold(tree) == ["0.1000"]
    assert "Lower is better in gini" in words(tree)


def test_a_comparison_is_one_line_in_a_terminal():
    assert repr(comparison()) == (
        "StrategyComparison freedom on toys, seeds 0, 1, 2, 3, 4: test recall@10 plain 0.1160, bsam 0.1460, sam 0.1000"
    )


def test_one_seed_has_no_test():
    tree = checked(comparison({name: values[:1] for name, values in SCORES.items()})._repr_html_())
    assert rows(tree)[1][2] == "0.1300 ± 0.0000+30.0\N{NO-BREAK SPACE}%, p – / –"


def test_a_table_shows_the_best_of_each_group_in_bold():
    tree = checked(TABLE._repr_html_())
    assert rows(tree)[2] == ["toys", "bsam", "0.5000", "0.25 ± 0.1"]
    assert bold(tree) == ["0.5000", "0.25 ± 0.1"]  # books has one strategy, which is not the best of any
    assert words(tree).startswith("Scores of all")
    assert words(tree).endswith("Over five seeds.")


def test_a_study_shows_findings_failures_and_tables():
    study = StudyResult(
        "speed", "Speed", "Which is quicker?", (TABLE,), (), ("bsam is.",), (Failure("plain 3", "nan"),)
    )
    said = words(checked(study._repr_html_()))
    assert said.startswith("Study Speed Which is quicker? bsam is. failed: plain 3: nan Scores of all")


def test_long_tables_and_studies_are_cut():
    long = Table("t", "T", (Column("n", "number", 0),), tuple((number,) for number in range(10_000)))
    study = StudyResult("s", "S", "Q?", (long,) * 9, findings=("Yes.",) * 1000)
    tree = checked(study._repr_html_())
    assert "and 9950 more rows" in words(tree)
    assert words(tree).endswith("and 5 more tables")
    assert len(list(tree.iter("li"))) == 20


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_stay_words(hostile):
    table = Table("t", hostile, (Column(hostile), Column("b")), ((hostile, hostile),), hostile)
    study = StudyResult("s", hostile, hostile, (table,), findings=(hostile,), failures=(Failure(hostile, hostile),))
    checked(study._repr_html_())
    scores = {"plain": [0.1, 0.2], hostile: [0.2, 0.3]}
    checked(comparison(scores)._repr_html_())
