from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from flatrec.data.interactions import Interactions
from flatrec.graphs.epoch_graph import drop_edges
from flatrec.graphs.interaction import (
    bidirectional,
    interaction_matrix,
    mean_graphs,
    normalized_graph,
    random_walk_graph,
    training_graph,
)

N_USERS, N_ITEMS = 7, 5


def interactions(users, items, parts=None, n_users=N_USERS, n_items=N_ITEMS):
    parts = np.zeros(len(users)) if parts is None else np.asarray(parts)
    return Interactions(np.array(users, np.int32), np.array(items, np.int32), parts.astype(np.int8), n_users, n_items)


def random_pairs(seed=0, share=0.5):
    """A random set of pairs in all three parts; user 0 and item 0 have none in training."""
    stream = np.random.default_rng(seed)
    users, items = np.nonzero(stream.random((N_USERS, N_ITEMS)) < share)
    parts = stream.choice(3, size=len(users), p=[0.7, 0.15, 0.15])
    parts[(users == 0) | (items == 0)] = 1
    order = stream.permutation(len(users))
    return interactions(users[order], items[order], parts[order])


def by_dense_algebra(bought):
    """D^(-1/2) A D^(-1/2) of the block matrix [[0, R], [R^T, 0]], degrees offset by 1e-7."""
    n_users, n_items = bought.shape
    adjacency = np.block([[np.zeros((n_users, n_users)), bought], [bought.T, np.zeros((n_items, n_items))]])
    roots = np.diag((adjacency.sum(axis=1) + 1e-7) ** -0.5)
    return roots @ adjacency @ roots


def kept_by(graph):
    """The user-item pairs of a graph, as a set."""
    dense = graph.coo().toarray()
    return set(zip(*(column.tolist() for column in np.nonzero(dense[:N_USERS, N_USERS:])), strict=True))


def edge_dropout_graph(pairs, rate, stream, weighting="degree", *, weighted=False):
    return training_graph(drop_edges(pairs, rate, stream, weighting), weighted=weighted)


def thinned(pairs, rate, seed=0):
    return edge_dropout_graph(pairs, rate, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(3))
def test_the_training_graph_equals_dense_algebra(seed):
    pairs = random_pairs(seed)
    expected = by_dense_algebra(pairs.matrix("train").toarray().astype(np.float64))
    graph = training_graph(pairs)
    np.testing.assert_allclose(graph.coo().toarray(), expected, atol=1e-7)
    assert graph.coo().nnz == 2 * pairs.count("train")


def test_a_small_graph_is_as_worked_by_hand():
    # u0 bought i0, i1; u1 bought i1. Degrees: u0 2, u1 1, i0 1, i1 2.
    dense = training_graph(interactions([0, 0, 1], [0, 1, 1], n_users=2, n_items=2)).coo().toarray()
    half, root = 0.5, 0.5**0.5
    expected = [[0, 0, root, half], [0, 0, 0, root], [root, 0, 0, 0], [half, root, 0, 0]]
    np.testing.assert_allclose(dense, expected, atol=1e-6)


def test_nodes_without_a_training_pair_have_empty_rows():
    dense = training_graph(random_pairs()).coo().toarray()
    assert not dense[0].any()
    assert not dense[N_USERS].any()


def test_a_graph_of_no_pairs_is_empty():
    nothing = np.array([], dtype=np.int32)
    graph = normalized_graph(random_pairs(), nothing, nothing)
    assert graph.shape == (N_USERS + N_ITEMS,) * 2
    assert torch.equal(graph(torch.ones(12, 2)), torch.zeros(12, 2))


@pytest.mark.parametrize(("rate", "kept"), [(0.0, 20), (0.25, 15), (0.5, 10), (0.77, 4), (0.96, 0)])
def test_thinning_keeps_the_whole_part_of_the_share(rate, kept):
    users, items = np.divmod(np.arange(20), N_ITEMS)
    assert thinned(interactions(users, items), rate).coo().nnz == 2 * kept


def test_thinning_draws_from_training_pairs_only_and_never_one_twice():
    pairs = random_pairs(share=0.9)
    training = set(zip(*(column.tolist() for column in pairs.indices("train")), strict=True))
    for seed in range(20):
        graph = thinned(pairs, 0.4, seed)
        assert kept_by(graph) < training
        assert graph.coo().nnz == 2 * int(len(training) * 0.6)


def test_degrees_are_counted_anew_on_what_is_kept():
    graph = thinned(random_pairs(share=0.9), 0.5)
    bought = (graph.coo().toarray()[:N_USERS, N_USERS:] > 0).astype(np.float64)
    assert 0 < bought.sum() < random_pairs(share=0.9).count("train")
    np.testing.assert_allclose(graph.coo().toarray(), by_dense_algebra(bought), atol=1e-7)


def test_thinning_depends_on_the_state_of_the_generator_alone():
    pairs = random_pairs(share=0.9)
    torch.manual_seed(1)
    first = thinned(pairs, 0.5, seed=3)
    torch.manual_seed(2)
    np.testing.assert_array_equal(first.coo().toarray(), thinned(pairs, 0.5, seed=3).coo().toarray())
    stream = torch.Generator().manual_seed(3)
    draws = {frozenset(kept_by(edge_dropout_graph(pairs, 0.5, stream))) for _ in range(5)}
    assert len(draws) == 5
    assert frozenset(kept_by(first)) in draws


def test_one_pair_is_kept_with_probability_proportional_to_its_weight():
    # A busy user and a popular item, so that the weights spread from 1/5 to 1.
    users = np.array([0, 0, 0, 0, 0, 1, 2, 3, 4])
    items = np.array([0, 1, 2, 3, 4, 0, 0, 0, 4])
    pairs = interactions(users, items)
    weights = (np.bincount(users)[users] * np.bincount(items)[items]) ** -0.5
    stream, draws = torch.Generator().manual_seed(0), 4000
    counts = dict.fromkeys(zip(users.tolist(), items.tolist(), strict=True), 0)
    for _ in range(draws):
        (pair,) = kept_by(edge_dropout_graph(pairs, 8 / 9 - 1e-9, stream))
        counts[pair] += 1
    observed = list(counts.values())
    assert stats.chisquare(observed, draws * weights / weights.sum()).pvalue > 0.01
    assert stats.chisquare(observed).pvalue < 1e-6  # the test can tell the weights from a uniform draw


def test_the_second_pair_is_drawn_from_the_rest_by_weight():
    # Three pairs, two kept: P(left out = c) = sum over orders (a, b) of w_a / 1 * w_b / (1 - w_a), weights adding to 1.
    users, items = np.array([0, 0, 1]), np.array([0, 1, 1])
    pairs = interactions(users, items)
    weights = (np.bincount(users)[users] * np.bincount(items)[items]) ** -0.5
    weights = weights / weights.sum()
    rest = [[other for other in range(3) if other != out] for out in range(3)]
    left_out = np.array([sum(weights[a] * weights[b] / (1 - weights[a]) for a, b in (two, two[::-1])) for two in rest])
    stream, draws, counts = torch.Generator().manual_seed(1), 4000, np.zeros(3)
    everything = list(zip(users.tolist(), items.tolist(), strict=True))
    for _ in range(draws):
        kept = kept_by(edge_dropout_graph(pairs, 0.3, stream))
        counts[next(n for n, pair in enumerate(everything) if pair not in kept)] += 1
    assert stats.chisquare(counts, draws * left_out).pvalue > 0.01


def adjacency(pairs):
    bought = pairs.matrix("train").toarray().astype(np.float64)
    return np.block([[np.zeros((N_USERS, N_USERS)), bought], [bought.T, np.zeros((N_ITEMS, N_ITEMS))]])


def test_the_mean_graphs_average_over_neighbors_and_leave_nodes_without_a_pair_at_zero():
    pairs = random_pairs()
    bought = pairs.matrix("train").toarray()
    for graph, half in zip(mean_graphs(pairs), (bought, bought.T), strict=True):
        expected = half / np.maximum(half.sum(axis=1, keepdims=True), 1)
        np.testing.assert_allclose(graph.coo().toarray(), expected, atol=1e-7)
    assert not bought[0].any()


def test_the_walk_stays_where_it_is_with_the_share_of_the_self_loop():
    pairs = random_pairs()
    looped = adjacency(pairs) + np.eye(N_USERS + N_ITEMS)
    expected = looped / looped.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(random_walk_graph(pairs).coo().toarray(), expected, atol=1e-7)
    assert expected[0, 0] == 1


@pytest.mark.parametrize("build", [lambda pairs: mean_graphs(pairs)[0], random_walk_graph, interaction_matrix])
def test_the_gradient_goes_through_the_transpose(build):
    graph = build(random_pairs())
    dense = torch.from_numpy(graph.coo().toarray())
    inputs = torch.randn(graph.shape[1], 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = torch.randn(graph.shape[0], 2, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((weights * graph(inputs)).sum(), inputs)
    torch.testing.assert_close(gradient, dense.T @ weights)


def test_the_bought_matrix_holds_training_pairs_alone():
    pairs = random_pairs()
    np.testing.assert_array_equal(interaction_matrix(pairs).coo().toarray(), pairs.matrix("train").toarray())


def test_both_ways_lead_from_users_to_items_and_back():
    sources, targets = bidirectional(random_pairs(), np.array([0, 3]), np.array([2, 1]))
    assert sources.tolist() == [0, 3, 9, 8]
    assert targets.tolist() == [9, 8, 0, 3]


def test_uniform_thinning_gives_every_pair_the_same_chance():
    users = np.array([0, 0, 0, 0, 0, 1, 2, 3, 4])
    items = np.array([0, 1, 2, 3, 4, 0, 0, 0, 4])
    pairs, stream, draws = interactions(users, items), torch.Generator().manual_seed(0), 2000
    counts = dict.fromkeys(zip(users.tolist(), items.tolist(), strict=True), 0)
    for _ in range(draws):
        for pair in kept_by(edge_dropout_graph(pairs, 6 / 9 - 1e-9, stream, "uniform")):
            counts[pair] += 1
    observed = np.array(list(counts.values()))
    assert observed.sum() == 3 * draws
    # Draws without replacement are less spread than independent ones, so the bound is on the safe side.
    assert stats.chisquare(observed).pvalue > 0.01


def with_weights(pairs, seed=5):
    weights = np.random.default_rng(seed).choice([0.25, 1.0, 2.0, 7.5], size=len(pairs))
    return replace(pairs, weights=weights.astype(np.float32))


@pytest.mark.parametrize("seed", range(3))
def test_the_weighted_training_graph_equals_dense_algebra(seed):
    pairs = with_weights(random_pairs(seed))
    expected = by_dense_algebra(pairs.weight_matrix("train").toarray().astype(np.float64))
    np.testing.assert_allclose(training_graph(pairs, weighted=True).coo().toarray(), expected, atol=1e-7)
    assert not np.allclose(expected, by_dense_algebra(pairs.matrix("train").toarray().astype(np.float64)))


def test_a_small_weighted_graph_is_as_worked_by_hand():
    # u0 has i0 with weight 1 and i1 with weight 3; u1 has i1 with weight 1. Degrees: u0 4, u1 1, i0 1, i1 4.
    pairs = replace(interactions([0, 0, 1], [0, 1, 1], n_users=2, n_items=2), weights=np.array([1, 3, 1], np.float32))
    dense = training_graph(pairs, weighted=True).coo().toarray()
    expected = [[0, 0, 1 / 2, 3 / 4], [0, 0, 0, 1 / 2], [1 / 2, 0, 0, 0], [3 / 4, 1 / 2, 0, 0]]
    np.testing.assert_allclose(dense, expected, atol=1e-6)
    to_users, to_items = (graph.coo().toarray() for graph in mean_graphs(pairs, weighted=True))
    np.testing.assert_allclose(to_users, [[1 / 4, 3 / 4], [0, 1]], atol=1e-7)
    np.testing.assert_allclose(to_items, [[1, 0], [3 / 4, 1 / 4]], atol=1e-7)


@pytest.mark.parametrize("weighted", [True, False])
def test_equal_weights_and_none_give_the_same_bits(weighted):
    pairs = random_pairs()
    ones = replace(pairs, weights=np.ones(len(pairs), np.float32))
    for build in (training_graph, lambda data, weighted: mean_graphs(data, weighted=weighted)[1]):
        graph, other = (build(data, weighted=weighted).coo() for data in (pairs, ones))
        np.testing.assert_array_equal(graph.toarray(), other.toarray())


def test_weights_play_no_part_in_which_edges_are_dropped_but_in_what_the_rest_counts():
    pairs = with_weights(random_pairs(share=0.9))
    plain = thinned(pairs, 0.5)
    graph = edge_dropout_graph(pairs, 0.5, torch.Generator().manual_seed(0), weighted=True)
    assert kept_by(graph) == kept_by(plain)
    kept = plain.coo().toarray()[:N_USERS, N_USERS:] > 0
    expected = by_dense_algebra(pairs.weight_matrix("train").toarray().astype(np.float64) * kept)
    np.testing.assert_allclose(graph.coo().toarray(), expected, atol=1e-7)
