"""Graphs of cosine neighbors, worked by hand."""

import numpy as np
import pytest

from flatrec.graphs.cosine import cosine_graph, largest_of

FEATURES = np.array([[1, 0], [1, 1], [0, 2], [-3, 0]], dtype=np.float32)
HALF = 0.5**0.5


def test_entries_are_cosines_over_the_roots_of_the_row_sums_of_both_ends():
    graph = cosine_graph(FEATURES[:3], 2).coo().toarray()
    kept = np.array([[1, HALF, 0], [HALF, 1, 0], [0, HALF, 1]])
    if graph[1, 2] > 0:  # the second item is as near to the third as to the first
        kept[1] = [0, 1, HALF]
    roots = np.full(3, (1 + HALF) ** -0.5)
    np.testing.assert_allclose(graph, roots[:, None] * kept * roots, atol=1e-6)


def test_a_row_whose_cosines_cancel_is_empty_as_is_its_column():
    graph = cosine_graph(FEATURES[[0, 3]], 2).coo().toarray()
    assert not graph.any()


def test_rows_of_zeros_are_empty():
    graph = cosine_graph(np.array([[0, 0], [1, 2], [2, 4]], dtype=np.float32), 2).coo().toarray()
    np.testing.assert_allclose(graph, [[0, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0.5]], atol=1e-6)


@pytest.mark.parametrize("n_neighbors", [0, 5])
def test_a_number_of_neighbors_out_of_range_is_refused(n_neighbors):
    with pytest.raises(ValueError, match=r"n_neighbors must lie in \[1, 4\]"):
        cosine_graph(FEATURES, n_neighbors)


def test_the_largest_entry_of_each_edge_is_taken_negative_ones_too():
    one, other = (cosine_graph(FEATURES, k) for k in (2, 3))
    both = largest_of([one, other]).coo().toarray()
    left, right = (graph.coo().toarray() for graph in (one, other))
    edges = [np.where(entries == 0, -np.inf, entries) for entries in (left, right)]
    expected = np.maximum(*edges)
    np.testing.assert_array_equal(both, np.where(np.isinf(expected), 0, expected))
    assert (right < 0).any()
