"""The graph of all training interactions, and the epoch's one with dropped edges."""

from functools import partial

import numpy as np
import pytest
import torch

from flatrec.graphs.epoch_graph import EpochGraph, drop_edges
from flatrec.graphs.interaction import random_walk_graph, training_graph
from flatrec.testing import tiny_dataset

INTERACTIONS = tiny_dataset().interactions
N_USERS = INTERACTIONS.n_users


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def test_evaluation_uses_all_interactions_and_training_the_epochs_subset():
    graph = EpochGraph(INTERACTIONS, training_graph, 0.5)
    assert graph.current() is graph.full
    graph.draw(stream())
    assert graph.current().coo().nnz == 2 * int(INTERACTIONS.count("train") * 0.5)
    assert graph.eval().current().coo().nnz == 2 * INTERACTIONS.count("train")


@pytest.mark.parametrize("weighting", ["degree", "uniform"])
def test_both_directions_of_an_interaction_are_dropped_together_and_the_rest_is_normalized_again(weighting):
    graph = EpochGraph(INTERACTIONS, training_graph, 0.4)
    graph.draw(stream(), weighting)
    dense = graph.current().coo().toarray().astype(np.float64)
    np.testing.assert_array_equal(dense, dense.T)
    adjacency = (dense > 0).astype(np.float64)
    degrees = adjacency.sum(axis=1) + 1e-7
    np.testing.assert_allclose(dense, adjacency / np.sqrt(np.outer(degrees, degrees)), atol=1e-7)
    assert (adjacency[:N_USERS, N_USERS:] <= (INTERACTIONS.matrix("train").toarray() > 0)).all()


def test_each_interaction_is_dropped_with_the_rate_as_its_probability():
    n, rate, draws, generator = INTERACTIONS.count("train"), 0.3, 400, stream(1)
    kept = np.zeros((N_USERS, INTERACTIONS.n_items))
    for _ in range(draws):
        kept += drop_edges(INTERACTIONS, rate, generator, "uniform").matrix("train").toarray()
    frequencies = kept[INTERACTIONS.matrix("train").toarray() > 0] / draws
    expected = int(n * (1 - rate)) / n
    assert frequencies.mean() == pytest.approx(expected, abs=1e-12)
    assert abs(frequencies - expected).max() < 5 * np.sqrt(expected * (1 - expected) / draws)


def test_without_dropout_nothing_is_drawn():
    graph, generator = EpochGraph(INTERACTIONS, training_graph, 0.0), stream()
    graph.draw(generator)
    assert graph.current() is graph.full
    assert torch.equal(generator.get_state(), stream().get_state())


def test_any_graph_of_interactions_can_be_built():
    graph = EpochGraph(INTERACTIONS, random_walk_graph, 0.5)
    graph.draw(stream())
    dense = graph.current().coo().toarray()
    assert (np.diag(dense) > 0).all()  # self loops are no interactions
    np.testing.assert_allclose(dense.sum(axis=1), 1, atol=1e-6)


def test_the_subset_is_one_draw_of_the_generator():
    graph = EpochGraph(INTERACTIONS, partial(training_graph, weighted=False), 0.5)
    graph.draw(stream(3))
    first = graph.current().coo().toarray()
    graph.draw(stream(4))
    assert (first != graph.current().coo().toarray()).any()
    graph.draw(stream(3))
    np.testing.assert_array_equal(first, graph.current().coo().toarray())
