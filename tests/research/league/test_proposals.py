"""Points of trials differ from one another, follow from the seed and the scores alone, and lie in the space."""

from __future__ import annotations

import pytest

from flatrec.research.league.proposals import common_points, next_point, random_points
from flatrec.research.sweeps.space import Choices, Range

SPACE = {
    "optimizer.lr": Choices((0.001, 0.003, 0.01)),
    "regularization.weight": Choices((0.0, 0.01)),
    "training.average_start": Choices((1, 2)),
}
N_POINTS = 12
N_TRIALS = 9  # of 12 points, so that some are proposed twice


def follow(scores_of, seed, n_trials=N_TRIALS, space=SPACE):
    """The points that TPE proposes one after the other, where a function says the score of each."""
    points = []
    for _ in range(n_trials):
        scores = [scores_of(point) for point in points]
        points.append(next_point(space, scores, seed, n_trials, higher_is_better=True))
    return points


def keys(points):
    return [tuple(sorted(point.items())) for point in points]


@pytest.mark.parametrize("seed", range(5))
def test_random_points_are_different_and_more_begin_with_the_same(seed):
    points = random_points(SPACE, N_POINTS, seed)
    assert len(set(keys(points))) == N_POINTS  # the whole space
    assert random_points(SPACE, 5, seed) == points[:5]
    assert all(point[name] in SPACE[name].values for point in points for name in SPACE)
    assert {type(point["training.average_start"]) for point in points} == {int}


def test_other_seeds_draw_other_points():
    assert random_points(SPACE, 6, 0) != random_points(SPACE, 6, 1)


def test_points_that_follow_from_scores_are_different_and_always_the_same():
    points = follow(lambda point: point["optimizer.lr"], 0)
    assert len(set(keys(points))) == N_TRIALS
    assert points == follow(lambda point: point["optimizer.lr"], 0)


def test_trials_that_failed_have_no_score_and_are_not_tried_again():
    points = follow(lambda point: None if point["optimizer.lr"] == 0.01 else 1.0, seed=0)
    assert len(set(keys(points))) == N_TRIALS


def test_half_of_the_trials_are_random_and_the_others_follow_the_scores():
    wide = {"optimizer.lr": Range(1e-4, 1.0, log=True), "regularization.weight": Range(0.0, 1.0)}
    near = far = 0.0
    for seed in range(3):
        up = follow(lambda point: point["regularization.weight"], seed, 16, wide)
        down = follow(lambda point: -point["regularization.weight"], seed, 16, wide)
        assert up[:8] == down[:8]
        near += sum(point["regularization.weight"] for point in up[8:])
        far += sum(point["regularization.weight"] for point in down[8:])
    assert near / 24 > 0.7
    assert far / 24 < 0.3


def test_common_points_share_the_values_of_settings_that_spaces_share():
    wider = {"strategy.rho": Choices((0.1, 0.2, 0.3, 0.4, 0.5)), **SPACE}
    one, two = common_points(SPACE, 6, 3), common_points(wider, 6, 3)
    assert [{name: point[name] for name in SPACE} for point in two] == one
    assert keys(common_points(SPACE, 4, 3)) == keys(one)[:4]
    assert common_points(SPACE, 6, 4) != one


@pytest.mark.parametrize("seed", range(10))
def test_common_points_are_different_and_try_each_value_before_one_again(seed):
    points = common_points(SPACE, N_POINTS, seed)
    assert len(set(keys(points))) == N_POINTS
    assert {point["optimizer.lr"] for point in points[:3]} == {0.001, 0.003, 0.01}
    assert {type(point["training.average_start"]) for point in points} == {int}


def test_a_common_point_that_was_tried_gives_way_to_the_next_value_of_the_last_setting():
    space = {"one": Choices((1, 2)), "two": Choices((1, 2))}
    for seed in range(10):
        points = [(point["one"], point["two"]) for point in common_points(space, 4, seed)]
        assert len(set(points)) == 4
        assert sorted(points[:2]) in ([(1, 1), (2, 2)], [(1, 2), (2, 1)])


def test_common_points_of_ranges_lie_within_them():
    space = {"rate": Range(1e-4, 1.0, log=True), "weight": Range(2.0, 3.0)}
    points = common_points(space, 200, 0)
    assert all(1e-4 <= point["rate"] <= 1 and 2 <= point["weight"] <= 3 for point in points)
    assert 0.4 < sum(point["rate"] < 1e-2 for point in points) / 200 < 0.6  # the median of the logarithm
    assert 2.45 < sum(point["weight"] for point in points) / 200 < 2.55
