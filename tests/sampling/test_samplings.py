"""Negative samplings: exact probabilities, exact exclusion, and draws that the generator alone decides."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from flatrec.data.interactions import Interactions
from flatrec.sampling.hardest import Hardest
from flatrec.sampling.in_batch import InBatch
from flatrec.sampling.popularity import Popularity
from flatrec.sampling.unbought import MAX_WEIGHT, UnboughtItems
from flatrec.sampling.uniform import Uniform


def interactions_of(pairs, n_users, n_items):
    users, items = np.array(pairs).reshape(-1, 2).T
    return Interactions(users, items, np.zeros(len(users), np.int8), n_users, n_items)


def random_interactions(seed=0, n_users=9, n_items=7, share=0.5):
    bought = np.random.default_rng(seed).random((n_users, n_items)) < share
    bought[0] = False  # a user without an interaction
    bought[1] = [True] * (n_items - 1) + [False]
    return interactions_of(np.argwhere(bought), n_users, n_items)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(sampling, users, generator, interactions):
    """What a sampler draws for these users."""
    return UnboughtItems(interactions, sampling.weights(interactions)).draw(users, generator, sampling.n_drawn)


# Counts 4, 2, 1, 3, 0; user 0 has items 0 and 2.
PAIRS = [(0, 0), (0, 2), (1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (1, 3), (2, 3), (3, 3)]
SAMPLINGS = [Uniform(n_negatives=3), Popularity(n_negatives=3), Popularity(exponent=0.4), InBatch(), Hardest()]


@pytest.mark.parametrize("exponent", [0.0, 0.75, 1.0, 2.0])
@pytest.mark.parametrize("user", [0, 1, 4])
def test_popular_items_are_drawn_with_their_exact_probabilities(exponent, user):
    interactions = interactions_of(PAIRS, 5, 5)
    sampling = Popularity(n_negatives=2, exponent=exponent)
    drawn = draw(sampling, torch.full((20000,), user), stream(3), interactions)
    weights = np.array([4.0, 2.0, 1.0, 3.0, 1.0]) ** exponent  # an item without interactions counts one
    weights[[item for owner, item in PAIRS if owner == user]] = 0
    counts, left = np.bincount(drawn.flatten().numpy(), minlength=5), weights > 0
    assert not counts[~left].any()
    expected = weights[left] / weights.sum() * counts.sum()
    assert stats.chisquare(counts[left], expected).pvalue > 0.01


def test_the_draw_can_be_told_from_a_uniform_one():
    drawn = draw(Popularity(exponent=1.0), torch.full((20000,), 4), stream(3), interactions_of(PAIRS, 5, 5))
    assert stats.chisquare(np.bincount(drawn.flatten().numpy(), minlength=5)).pvalue < 1e-6


@pytest.mark.parametrize(
    ("exponent", "expected"), [(0.0, [1, 1, 1, 1, 1]), (1.0, [4, 2, 1, 3, 1]), (2.0, [16, 4, 1, 9, 1])]
)
def test_log_q_is_as_worked_by_hand(exponent, expected):
    log_q = Popularity(exponent=exponent).log_q(interactions_of(PAIRS, 5, 5))
    np.testing.assert_allclose(log_q, np.log(np.array(expected) / sum(expected)), rtol=1e-6)


@pytest.mark.parametrize("exponent", [0.3, 0.75, 1.5, 60.0, 1e6])
def test_rounded_weights_are_close_to_the_powers_and_fit(exponent):
    interactions = interactions_of(PAIRS, 5, 5)
    weights = Popularity(exponent=exponent).weights(interactions)
    assert weights.min() >= 1
    assert weights.sum() <= MAX_WEIGHT
    exact = (np.array([4, 2, 1, 3, 1]) / 4) ** exponent
    np.testing.assert_allclose(weights / weights.sum(), exact / exact.sum(), rtol=1e-9, atol=1e-11)


def test_in_batch_log_q_is_the_fraction_of_training_interactions():
    log_q = InBatch().log_q(interactions_of(PAIRS, 5, 5))
    np.testing.assert_allclose(log_q.exp(), [0.4, 0.2, 0.1, 0.3, 0.1], rtol=1e-6)


def test_uniform_and_hardest_need_no_correction():
    interactions = interactions_of(PAIRS, 5, 5)
    assert Uniform().log_q(interactions) is Hardest().log_q(interactions) is None


@pytest.mark.parametrize("exponent", [None, 0.0])
def test_uniform_draws_are_those_of_ranks_bit_for_bit(exponent):
    # Also popularity with exponent 0, whose weights are all one.
    interactions = random_interactions(n_users=30, n_items=50)
    users = torch.from_numpy(interactions.users.astype(np.int64))
    sampling = Uniform() if exponent is None else Popularity(exponent=exponent)
    drawn = draw(sampling, users, stream(1), interactions)
    expected = uniform_by_ranks(interactions, users, stream(1))
    assert torch.equal(drawn.flatten(), expected)


def uniform_by_ranks(interactions, users, generator):
    """The item of each drawn rank among the items that a user lacks, by a list per user."""
    bought = interactions.matrix("train").toarray() > 0
    numbers = torch.rand(len(users), generator=generator, dtype=torch.float64).tolist()
    lacking = [np.flatnonzero(~bought[user]) for user in users.tolist()]
    return torch.tensor([int(items[int(x * len(items))]) for items, x in zip(lacking, numbers, strict=True)])


@given(seed=some.integers(0, 2**32 - 1), share=some.floats(0.05, 0.95), n_items=some.integers(2, 12))
def test_no_training_item_of_the_user_is_ever_drawn(seed, share, n_items):
    interactions = random_interactions(seed, n_items=n_items, share=share)
    bought = interactions.matrix("train").toarray() > 0
    users = torch.from_numpy(np.flatnonzero(~bought.all(axis=1))).repeat(20)
    for sampling in SAMPLINGS:
        drawn = draw(sampling, users, stream(seed), interactions)
        assert drawn.shape == (len(users), sampling.n_drawn)
        assert 0 <= drawn.min() <= drawn.max() < n_items
        assert not bought[users[:, None], drawn].any()


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_equal_states_give_equal_draws_and_others_differ(sampling):
    interactions, users = random_interactions(n_items=40), torch.arange(2, 9).repeat(5)
    first, again = (draw(sampling, users, stream(4), interactions) for _ in range(2))
    other = draw(sampling, users, stream(5), interactions)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_draw_does_not_touch_the_global_random_state(sampling):
    before = torch.get_rng_state()
    draw(sampling, torch.arange(2, 9), stream(), random_interactions())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_heaviest_weights_of_many_users_do_not_overflow():
    n_users = 2**20
    interactions = interactions_of([(user, user % 3) for user in range(0, n_users, 2**15)], n_users, 4)
    weights = np.array([1, MAX_WEIGHT // 2, 1, MAX_WEIGHT // 2 - 2])
    users = torch.arange(0, n_users, 2**15)
    drawn = UnboughtItems(interactions, weights).draw(users, stream(), 50)
    assert not (drawn == torch.arange(len(users))[:, None] * 2**15 % 3).any()
    assert (drawn == 3).any()


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Uniform, {"n_negatives": 0}, "n_negatives must be at least 1"),
        (Popularity, {"exponent": -0.5}, "exponent must be at least 0"),
        (Hardest, {"n_candidates": 0}, "n_candidates must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)


def test_what_each_sampling_asks_of_the_loss():
    assert [(one.n_drawn, one.in_batch, one.hardest) for one in (Uniform(), InBatch(), Hardest(n_candidates=6))] == [
        (1, False, False),
        (1, True, False),
        (6, False, True),
    ]
