import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from flatrec.data.interactions import Interactions
from flatrec.sampling import sampler as samplers
from flatrec.sampling.popularity import Popularity
from flatrec.sampling.sampler import Sampler
from flatrec.sampling.unbought import UnboughtItems
from flatrec.testing import block_dataset
from tests.strategies.test_waiting import Readings


def interactions_of(interactions, n_users, n_items):
    """Training interactions, shuffled; every user also has each item they lack in validation, which must not matter."""
    rest = [(user, item) for user in range(n_users) for item in range(n_items) if (user, item) not in set(interactions)]
    users, items = np.array([*interactions, *rest], dtype=np.int32).reshape(-1, 2).T
    parts = np.array([0] * len(interactions) + [1] * len(rest), dtype=np.int8)
    order = np.random.default_rng(0).permutation(len(users))
    return Interactions(users[order], items[order], parts[order], n_users, n_items)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def random_interactions(seed=0, n_users=9, n_items=7, share=0.5):
    bought = np.random.default_rng(seed).random((n_users, n_items)) < share
    bought[0] = False  # a user without an interaction
    bought[1] = [True] * (n_items - 1) + [False]
    return interactions_of(list(zip(*(one.tolist() for one in np.nonzero(bought)), strict=True)), n_users, n_items)


def read(steps):
    """All (user, positive, negative) triples of the batches at each place of a step."""
    places = zip(*steps, strict=True)
    return [[triple for batch in place for triple in triples(batch)] for place in places]


def triples(batch):
    return list(zip(batch.users.tolist(), batch.positives.tolist(), batch.negatives[:, 0].tolist(), strict=True))


def training_interactions(interactions):
    return sorted(zip(*(column.tolist() for column in interactions.indices("train")), strict=True))


@pytest.mark.parametrize("batch_size", [1, 4, 5, 1000])
def test_a_pass_holds_each_training_interaction_exactly_once(batch_size):
    interactions = random_interactions()
    sampler = Sampler(interactions, batch_size)
    steps = list(sampler.epoch(stream()))
    (seen,) = read(steps)
    assert sorted(triple[:2] for triple in seen) == training_interactions(interactions)
    sizes = [len(batch) for (batch,) in steps]
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    assert 0 < sizes[-1] <= batch_size
    assert len(steps) == len(sampler) == sampler.steps(1, "independent")


def test_a_pass_is_shuffled():
    interactions = random_interactions()
    (seen,) = read(Sampler(interactions, 5).epoch(stream()))
    given_order = list(zip(*(column.tolist() for column in interactions.indices("train")), strict=True))
    assert [triple[:2] for triple in seen] not in (given_order, sorted(given_order))


@given(seed=some.integers(0, 2**32 - 1), share=some.floats(0.05, 0.95), n_items=some.integers(2, 12))
def test_a_negative_is_never_a_training_item_of_its_user(seed, share, n_items):
    interactions = random_interactions(seed, n_items=n_items, share=share)
    (seen,) = read(Sampler(interactions, 8).epoch(stream(seed)))
    bought = set(training_interactions(interactions))
    full = {user for user in range(9) if sum(interaction[0] == user for interaction in bought) == n_items}
    assert {triple[:2] for triple in seen} == {interaction for interaction in bought if interaction[0] not in full}
    assert all(0 <= negative < n_items and (user, negative) not in bought for user, _, negative in seen)


# Which items user 1 bought out of eight: first ones, last ones, in between, a single one, all but two.
BOUGHT = [{0, 1, 2}, {5, 6, 7}, {0, 3, 4, 7}, {2}, {0, 1, 2, 4, 5, 7}]


@pytest.mark.parametrize("bought", BOUGHT)
def test_negatives_are_uniform_over_what_the_user_has_not_bought(bought):
    others = [(0, item) for item in (1, 6)] + [(2, item) for item in range(7)]
    interactions = interactions_of([(1, item) for item in bought] + others, 4, 8)
    drawn = UnboughtItems(interactions).draw(torch.ones(8000, dtype=torch.int64), stream(1), 1)
    counts = np.bincount(drawn[:, 0].numpy(), minlength=8)
    left = sorted(set(range(8)) - bought)
    assert not counts[list(bought)].any()
    assert stats.chisquare(counts[left]).pvalue > 0.01


def test_negatives_of_one_batch_are_independent_of_one_another():
    interactions = interactions_of([(0, 0), (1, 0)], 2, 3)
    first, second = UnboughtItems(interactions).draw(torch.tensor([0, 1] * 4000), stream(2), 1).reshape(-1, 2).T.numpy()
    counts = np.bincount(first * 3 + second, minlength=9).reshape(3, 3)[1:, 1:]
    assert stats.chisquare(counts.ravel()).pvalue > 0.01


def test_a_user_who_lacks_one_item_gets_it():
    for lacking in (0, 3, 6):
        interactions = interactions_of([(0, item) for item in range(7) if item != lacking] + [(1, 2)], 2, 7)
        drawn = UnboughtItems(interactions).draw(torch.zeros(50, dtype=torch.int64), stream(), 1)
        assert drawn.unique().tolist() == [lacking]


def test_a_user_without_a_interaction_can_get_any_item():
    interactions = interactions_of([(0, 1), (2, 2)], 3, 4)
    drawn = UnboughtItems(interactions).draw(torch.ones(400, dtype=torch.int64), stream(), 1)
    assert drawn.unique().tolist() == [0, 1, 2, 3]


def test_users_who_have_every_item_are_left_out_with_a_warning(caplog):
    interactions = interactions_of([(0, 0), (0, 1), (0, 2), (1, 0), (2, 1)], 3, 3)
    with caplog.at_level(logging.WARNING, "flatrec.data.batches"):
        sampler = Sampler(interactions, 1)
    assert [record.getMessage() for record in caplog.records] == [
        "3 training interactions of users who have every item are left out"
    ]
    assert len(sampler) == 2
    (seen,) = read(sampler.epoch(stream()))
    assert sorted(triple[:2] for triple in seen) == [(1, 0), (2, 1)]


def test_no_warning_when_nobody_has_every_item(caplog):
    Sampler(random_interactions(), 4)
    assert not caplog.records


@pytest.mark.parametrize("interactions", [[], [(0, 0), (0, 1)], [(0, 0), (0, 1), (1, 0), (1, 1)]])
def test_nothing_to_train_on_is_an_error(interactions):
    with pytest.raises(ValueError, match="a user with a training interaction and an item without one.*over 2 items"):
        Sampler(interactions_of(interactions, 2, 2), 4)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_size_below_one_is_an_error(batch_size):
    with pytest.raises(ValueError, match=f"batch_size must be at least 1, but is {batch_size}"):
        Sampler(random_interactions(), batch_size)


def test_equal_states_give_equal_epochs_and_others_differ():
    sampler = Sampler(random_interactions(), 5)
    for second_batch in ("independent", "split"):
        first, again, other = (read(sampler.epoch(stream(seed), 2, second_batch)) for seed in (3, 3, 4))
        assert first == again != other


def test_an_epoch_does_not_touch_the_global_random_state():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(Sampler(random_interactions(), 5).epoch(stream()))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_that_goes_on_gives_another_epoch():
    sampler, generator = Sampler(random_interactions(), 5), stream()
    assert read(sampler.epoch(generator)) != read(sampler.epoch(generator))


def test_two_passes_are_independent_and_each_is_whole():
    interactions = random_interactions()
    sampler = Sampler(interactions, 4)
    steps = list(sampler.epoch(stream(), 2, "independent"))
    assert len(steps) == sampler.steps(2, "independent") == len(sampler)
    first, second = read(steps)
    assert sorted(t[:2] for t in first) == sorted(t[:2] for t in second) == training_interactions(interactions)
    assert [t[:2] for t in first] != [t[:2] for t in second]
    negatives = [{t[:2]: t[2] for t in one} for one in (first, second)]
    assert negatives[0] != negatives[1]


def test_the_first_of_two_passes_is_that_of_a_single_one():
    # A mixed strategy and its plain control start from the same batches.
    sampler = Sampler(random_interactions(), 4)
    (alone,) = read(sampler.epoch(stream()))
    assert read(sampler.epoch(stream(), 2, "independent"))[0] == alone


def test_where_a_interaction_stands_in_one_pass_says_nothing_about_the_other():
    # The place of interaction 0 in the second pass, over many epochs, is uniform given its place in the first.
    interactions = interactions_of([(0, item) for item in range(3)], 1, 4)
    sampler, generator, counts = Sampler(interactions, 3), stream(5), np.zeros((3, 3))
    for _ in range(1500):
        ((first, second),) = sampler.epoch(generator, 2, "independent")
        counts[first.positives.argmin(), second.positives.argmin()] += 1
    assert stats.chisquare(counts.ravel()).pvalue > 0.01


@pytest.mark.parametrize("n_interactions", [8, 9, 12, 13, 16])
def test_split_batches_are_successive_batches_of_one_pass(n_interactions):
    interactions = interactions_of([(number, number % 3) for number in range(n_interactions)], n_interactions, 4)
    sampler = Sampler(interactions, 4)
    (whole,) = read(sampler.epoch(stream(6)))
    steps = list(sampler.epoch(stream(6), 2, "split"))
    assert len(steps) == sampler.steps(2, "split") == -(-len(sampler) // 2)
    flat = [triple for step in steps for batch in step for triple in triples(batch)]
    filled = whole[:4] if len(sampler) % 2 else []
    assert flat == whole + filled


def test_a_single_batch_is_both_batches_of_a_split():
    sampler = Sampler(random_interactions(), 1000)
    ((first, second),) = sampler.epoch(stream(), 2, "split")
    assert triples(first) == triples(second)


def test_a_step_of_many_batches_is_full_even_when_a_pass_is_short():
    sampler = Sampler(random_interactions(), 1000)
    ((*batches,),) = sampler.epoch(stream(), 3, "split")
    assert len(batches) == 3


def test_the_device_decides_where_batches_are_and_nothing_else():
    interactions = random_interactions()
    default, cpu = (read(Sampler(interactions, 5, device).epoch(stream())) for device in (None, torch.device("cpu")))
    assert default == cpu
    # "meta" stands for any other device: batches land there, while shuffling and drawing stay on the CPU.
    generator, other = stream(), stream()
    (batch,) = next(Sampler(interactions, 5, torch.device("meta")).epoch(generator))
    assert {column.device.type for column in (batch.users, batch.positives, batch.negatives)} == {"meta"}
    list(Sampler(interactions, 5).epoch(other))
    assert torch.equal(generator.get_state(), other.get_state())


def seeded_by(_, generator):
    """What a GPU draws with: a generator of its own, here of the CPU."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))


def test_a_device_that_draws_its_own_batches_draws_them_from_the_same_distribution(monkeypatch):
    interactions = interactions_of([(0, 0), (0, 2), (1, 1)], 2, 4)
    on_cpu = read(Sampler(interactions, 2).epoch(stream(11)))
    monkeypatch.setattr(samplers, "generator_on", seeded_by)
    sampler, generator = Sampler(interactions, 2), stream(11)
    assert read(sampler.epoch(stream(11))) == read(sampler.epoch(stream(11))) != on_cpu
    first, negatives = np.zeros(3), np.zeros((2, 4))
    for _ in range(1500):
        (seen,) = read(sampler.epoch(generator))
        assert sorted(triple[:2] for triple in seen) == [(0, 0), (0, 2), (1, 1)]
        first[seen[0][1]] += 1
        for user, _, negative in seen:
            negatives[user, negative] += 1
    assert stats.chisquare(first).pvalue > 0.01
    assert negatives[0, [0, 2]].tolist() == [0, 0]
    assert negatives[1, 1] == 0
    assert stats.chisquare(negatives[0, [1, 3]]).pvalue > 0.01
    assert stats.chisquare(negatives[1, [0, 2, 3]]).pvalue > 0.01


@pytest.mark.parametrize("at_once", [2, 7, 10**6])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_device_that_draws_its_own_batches_is_not_waited_for(monkeypatch, weighted, at_once):
    monkeypatch.setattr(samplers, "DRAWN_AT_ONCE", at_once)
    monkeypatch.setattr(samplers, "drawing", lambda device: device)
    monkeypatch.setattr(samplers, "generator_on", lambda _, generator: generator)
    interactions = replace(random_interactions(), weights=np.ones(len(random_interactions()), np.float32))
    sampling = Popularity(n_negatives=3)
    sampler = Sampler(interactions, 8, torch.device("meta"), weighted=weighted, negatives=sampling)
    with Readings() as readings:
        steps = list(sampler.epoch(stream(), 2))
    assert readings.count == 0
    assert [len(first) for first, _ in steps] == [len(b) for (b,) in Sampler(interactions, 8).epoch(stream())]
    assert {column.device.type for first, _ in steps for column in first.indices} == {"meta"}
    assert {batch.negatives.shape for (batch, _) in steps[:-1]} == {(8, 3)}


def test_the_order_in_which_interactions_are_stored_does_not_bias_negatives():
    blocks = block_dataset()
    sampler = Sampler(blocks.interactions, 1000)
    bought = blocks.interactions.matrix("train").toarray() > 0
    ((batch,),) = sampler.epoch(stream())
    assert not bought[batch.users, batch.negatives[:, 0]].any()
    assert bought[batch.users, batch.positives].all()


def weighted_interactions(weights):
    """User n has item n, with the n-th weight, of one item more than there are users."""
    n = len(weights)
    interactions = Interactions(np.arange(n), np.arange(n), np.zeros(n, np.int8), n, n + 1)
    return replace(interactions, weights=np.array(weights, np.float32))


def test_weighted_draws_are_as_many_as_there_are_interactions_each_by_its_weight():
    weights = [0.5, 1.0, 2.0, 4.0, 0.5]
    sampler, generator, counts = Sampler(weighted_interactions(weights), 2, weighted=True), stream(7), np.zeros(5)
    for _ in range(1000):
        (seen,) = read(sampler.epoch(generator))
        assert len(seen) == 5
        assert all(user == positive != negative for user, positive, negative in seen)
        counts += np.bincount([user for user, _, _ in seen], minlength=5)
    assert stats.chisquare(counts, 5000 * np.array(weights) / 8).pvalue > 0.01
    assert stats.chisquare(counts).pvalue < 1e-6  # the test can tell the weights from a uniform draw


def test_weighted_draws_are_independent_of_one_another():
    sampler, generator, counts = Sampler(weighted_interactions([1.0, 3.0]), 2, weighted=True), stream(8), np.zeros(4)
    for _ in range(2000):
        ((batch,),) = sampler.epoch(generator)
        counts[int(batch.users[0]) * 2 + int(batch.users[1])] += 1
    assert stats.chisquare(counts, 2000 * np.array([1, 3, 3, 9]) / 16).pvalue > 0.01


@pytest.mark.parametrize(("weights", "drawn"), [([1e30, 1e-30, 1e-30], 0), ([1e-30, 1e-30, 1e30], 2)])
def test_an_interaction_of_overwhelming_weight_is_always_drawn(weights, drawn):
    (seen,) = read(Sampler(weighted_interactions(weights), 4, weighted=True).epoch(stream()))
    assert [user for user, _, _ in seen] == [drawn] * 3


def test_interactions_of_users_who_have_every_item_are_not_drawn_by_weight_either():
    interactions = interactions_of([(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (3, 0)], 4, 2)
    heavy = np.where(interactions.users < 2, 100.0, 1.0 + 2 * (interactions.users == 3))
    sampler = Sampler(replace(interactions, weights=heavy.astype(np.float32)), 8, weighted=True)
    generator, counts = stream(9), np.zeros(4)
    for _ in range(1000):
        ((batch,),) = sampler.epoch(generator)
        counts += np.bincount(batch.users, minlength=4)
    assert counts[:2].tolist() == [0, 0]
    assert stats.chisquare(counts[2:], [500, 1500]).pvalue > 0.01


def test_weighted_epochs_depend_on_the_state_of_the_generator_alone():
    sampler = Sampler(weighted_interactions(range(1, 20)), 4, weighted=True)
    for second_batch in ("independent", "split"):
        first, again, other = (read(sampler.epoch(stream(seed), 2, second_batch)) for seed in (3, 3, 4))
        assert first == again != other
        assert sum(map(len, first)) == {"independent": 38, "split": 23}[second_batch]


def test_weights_that_are_not_asked_for_change_no_draw():
    interactions = random_interactions()
    weighted = replace(interactions, weights=np.linspace(1, 9, len(interactions)).astype(np.float32))
    assert read(Sampler(weighted, 5).epoch(stream())) == read(Sampler(interactions, 5).epoch(stream()))


def test_weighted_sampling_without_weights_is_an_error():
    with pytest.raises(ValueError, match="weighted sampling needs weights, but the interactions have none"):
        Sampler(random_interactions(), 4, weighted=True)
