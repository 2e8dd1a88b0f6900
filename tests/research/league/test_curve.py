"""Scores over cost, worked by hand."""

from __future__ import annotations

import pytest

from flatrec.research.league.curve import Curve, Point

POINTS = (Point(2, 20.0, 1.0, 0.1), Point(4, 40.0, 2.0, 0.4), Point(6, 60.0, 3.0, 0.3), Point(8, 80.0, 4.0, 0.35))


def test_the_best_score_within_a_budget_of_gradients():
    curve = Curve(POINTS)
    assert [curve.best(budget) for budget in (19.0, 20.0, 39.9, 40.0, 1000.0)] == [None, 0.1, 0.1, 0.4, 0.4]
    lower = Curve(POINTS, higher_is_better=False)
    assert lower.best(1000.0) == 0.1


def test_a_window_takes_the_mean_of_the_last_evaluations():
    curve = Curve(POINTS, window=3)
    assert curve.smoothed() == pytest.approx([0.1, 0.25, 0.8 / 3, 0.35])
    assert curve.at(6) == pytest.approx(0.8 / 3)
    assert curve.best(60.0) == pytest.approx(0.8 / 3)
    assert curve.best(80.0) == pytest.approx(0.35)
    with pytest.raises(KeyError):
        curve.at(5)
