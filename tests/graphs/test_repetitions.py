"""Repeated neighbors that a device draws itself: the distribution of the CPU, without waiting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse, stats

from flatrec.graphs import cooccurrence
from flatrec.graphs.cooccurrence import UserGraph, drawn_multiplicities, softmax_graph
from flatrec.graphs.repetitions import Repetitions
from flatrec.testing import tiny_dataset
from tests.strategies.test_waiting import Readings

INTERACTIONS = tiny_dataset().interactions
N_NEIGHBORS = 9
COUNTS = sparse.csr_array(np.array([[0, 3, 1, 2], [0, 0, 0, 0], [1, 2, 0, 3], [5, 0, 0, 0]], dtype=np.float32))


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def repetitions(counts, n_neighbors):
    whole = softmax_graph(counts, np.ones(counts.nnz, dtype=np.int64))
    return Repetitions.of(whole, counts, n_neighbors)


def test_every_row_is_filled_and_an_empty_one_stays_empty():
    found = repetitions(COUNTS, N_NEIGHBORS).multiplicities(stream()).numpy()
    assert found.min() >= 1
    filled = sparse.csr_array((found, COUNTS.indices, COUNTS.indptr), shape=COUNTS.shape)
    assert filled.sum(axis=1).tolist() == [N_NEIGHBORS, 0, N_NEIGHBORS, N_NEIGHBORS]


def test_the_multiplicities_of_a_row_are_those_of_an_urn():
    """All ways to fill a row of three entries by six more are equally likely, as they are on the CPU."""
    drawn = repetitions(COUNTS, N_NEIGHBORS)
    ways = {(one, other): 0 for one in range(1, 8) for other in range(1, 9 - one)}
    for seed in range(3000):
        one, other, third = drawn.multiplicities(stream(seed))[:3].tolist()
        assert one + other + third == N_NEIGHBORS
        ways[one, other] += 1
    assert len(ways) == 28
    assert stats.chisquare(list(ways.values())).pvalue > 0.01


def test_the_graph_is_the_softmax_of_what_was_drawn():
    drawn = repetitions(COUNTS, N_NEIGHBORS)
    expected = softmax_graph(COUNTS, drawn.multiplicities(stream(1)).numpy())
    graph = drawn.draw(stream(1))
    np.testing.assert_allclose(graph.coo().toarray(), expected.coo().toarray(), rtol=2e-7)
    np.testing.assert_array_equal(graph.transposed.indices, expected.transposed.indices)
    torch.testing.assert_close(graph.transposed.values, expected.transposed.values)


@pytest.mark.parametrize("n_neighbors", [2, 12])
def test_a_device_that_draws_repetitions_is_not_waited_for(monkeypatch, n_neighbors):
    monkeypatch.setattr(cooccurrence, "drawing", lambda device: device)
    monkeypatch.setattr(cooccurrence, "generator_on", lambda _, generator: generator)
    graph = UserGraph(INTERACTIONS, n_neighbors).to("meta")
    with Readings() as readings:
        graph.draw(stream())
    assert readings.count == 0
    assert graph.drawn is not graph.whole
    assert graph(torch.ones(INTERACTIONS.n_users, 2, device="meta")).device.type == "meta"


def test_the_graph_of_an_epoch_follows_from_the_generator(monkeypatch):
    monkeypatch.setattr(cooccurrence, "drawing", lambda _: torch.device("meta"))  # as a GPU, with tensors on the CPU

    def drawn(seed):
        graph = UserGraph(INTERACTIONS, 12)
        graph.draw(stream(seed))
        return graph.drawn.coo().toarray()

    np.testing.assert_array_equal(drawn(3), drawn(3))
    assert (drawn(3) != drawn(4)).any()
    assert (drawn_multiplicities(UserGraph(INTERACTIONS, 12).counts, 12, stream()) > 1).any()
    np.testing.assert_allclose(drawn(3).sum(axis=1), (drawn(4) > 0).any(axis=1), rtol=1e-5)
