import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatrec.data.splitting.random import split_at_random as split
from flatrec.data.splitting.ratios import fractions_of


@pytest.mark.parametrize(
    ("interactions", "expected"),
    [
        (1, [1, 0, 0]),
        (2, [2, 0, 0]),
        (3, [1, 1, 1]),
        (5, [3, 1, 1]),
        (10, [8, 1, 1]),
        (20, [16, 2, 2]),
        (30, [24, 3, 3]),
    ],
)
@pytest.mark.parametrize("ratios", [(8, 1, 1), (0.8, 0.1, 0.1)])
def test_shares_of_a_user_are_rounded_down_but_at_least_one(interactions, expected, ratios):
    parts = split(np.zeros(interactions, dtype=np.int64), 1, seed=0, ratios=ratios)
    assert np.bincount(parts, minlength=3).tolist() == expected


@given(
    st.lists(st.integers(0, 5), max_size=60),
    st.integers(0, 9),
    st.sampled_from([(8, 1, 1), (1, 1, 8), (1, 8, 1), (1, 0, 1), (1, 0, 0), (1, 9, 0)]),
)
def test_every_user_with_a_interaction_has_one_in_training(users, seed, ratios):
    users = np.array(users, dtype=np.int64)
    parts = split(users, 7, seed, ratios)
    assert set(users[parts == 0].tolist()) == set(users.tolist())
    assert all((parts != part).all() for part, ratio in enumerate(ratios) if ratio == 0)


def test_the_seed_decides_the_split():
    users = np.repeat(np.arange(50), 10)
    assert (split(users, 50, 1) == split(users, 50, 1)).all()
    assert (split(users, 50, 1) != split(users, 50, 2)).any()


def test_every_place_of_a_user_is_equally_likely_to_be_tested():
    parts = split(np.repeat(np.arange(5000), 5), 5000, seed=0).reshape(5000, 5)
    assert np.allclose((parts == 2).mean(axis=0), 0.2, atol=0.03)


@pytest.mark.parametrize("ratios", [(0, 1, 1), (8, -1, 1), (8, np.nan, 1), (8, np.inf, 1)])
def test_ratios_that_cannot_split_are_refused(ratios):
    with pytest.raises(ValueError, match="ratios must be three finite weights"):
        split(np.zeros(3, dtype=np.int64), 1, 0, ratios)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ((8, 1, 1), [24, 3, 3]),
        ((0.8, 0.1, 0.1), [24, 3, 3]),
        ((1e308, 1e308, 1e308), [10, 10, 10]),
        ((10**400, 10**400, 10**400), [10, 10, 10]),
        ((10**32, 1, 1), [28, 1, 1]),
        ((5e-324, 5e-324, 5e-324), [10, 10, 10]),
        ((1, 0, 0), [30, 0, 0]),
        ((1, 10**400, 0), [1, 29, 0]),
    ],
)
def test_the_shares_are_those_of_the_weights_however_large_these_are(ratios, expected):
    assert np.bincount(split(np.zeros(30, dtype=np.int64), 1, 0, ratios), minlength=3).tolist() == expected
    assert sum(fractions_of(ratios)) == 1


@pytest.mark.parametrize(
    "ratios", [(0, 1, 1), (-1, 1, 1), (8, -1, 1), (float("nan"), 1, 1), (8, float("inf"), 1), (True, 1, 1)]
)
def test_weights_that_split_nothing_are_refused(ratios):
    with pytest.raises(ValueError, match="ratios must be three finite weights") as error:
        fractions_of(ratios)
    assert len(str(error.value)) < 300
