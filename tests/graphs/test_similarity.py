import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from flatrec.graphs import similarity
from flatrec.graphs.similarity import neighbour_matrix


def random_features(n_items=23, width=6, seed=0):
    return np.random.default_rng(seed).standard_normal((n_items, width)).astype(np.float32)


def by_dense_algebra(features, neighbours):
    """Row by row in float64: sort all cosines, keep the largest k, the item itself first."""
    wide = features.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    graph = np.zeros((len(wide), len(wide)))
    for row in range(len(wide)):
        with np.errstate(invalid="ignore", divide="ignore"):
            cosines = np.nan_to_num(wide @ wide[row] / (lengths * lengths[row]))
        cosines[row] = 2
        graph[row, np.argsort(-cosines, kind="stable")[:neighbours]] = 1
    return graph


@pytest.mark.parametrize("neighbours", [1, 2, 7, 23])
def test_the_graph_equals_dense_algebra(neighbours):
    features = random_features()
    graph = neighbour_matrix(features, neighbours)
    np.testing.assert_array_equal(graph.toarray() > 0, by_dense_algebra(features, neighbours) > 0)
    np.testing.assert_allclose(graph.data, 1 / (neighbours + 1e-7), rtol=1e-6)


def test_length_does_not_matter_but_direction_does():
    features = np.array([[1, 0], [100, 1], [-1, 0], [0, 1]], dtype=np.float32)
    linked = neighbour_matrix(features, 2).toarray() > 0
    assert linked[0].tolist() == [True, True, False, False]
    assert linked[2].tolist() == [False, False, True, True]


def test_links_are_directed():
    # Item 2 is nearest to 1, whose own nearest is 0.
    angles = np.array([0.0, 0.1, 0.5])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert (neighbour_matrix(features, 2).toarray() > 0).tolist() == [[1, 1, 0], [1, 1, 0], [0, 1, 1]]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_scale_of_all_features_does_not_matter(scale):
    features = random_features()
    np.testing.assert_array_equal(
        neighbour_matrix((features * scale).astype(np.float32), 4).toarray(), neighbour_matrix(features, 4).toarray()
    )


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_features_near_the_ends_of_float32_keep_their_direction(scale):
    features = random_features()
    np.testing.assert_array_equal(
        neighbour_matrix((features * scale).astype(np.float32), 4).toarray(), neighbour_matrix(features, 4).toarray()
    )


def test_a_row_of_zeros_links_to_itself_alone():
    features = random_features(6)
    features[2] = 0
    graph = neighbour_matrix(features, 3).toarray()
    assert np.flatnonzero(graph[2]).tolist() == [2]
    assert graph[2, 2] == np.float32(1 / (3 + 1e-7))
    others = [0, 1, 3, 4, 5]
    assert (np.count_nonzero(graph[others], axis=1) == 3).all()


def test_zeros_everywhere_give_the_identity():
    graph = neighbour_matrix(np.zeros((4, 2), dtype=np.float32), 2)
    np.testing.assert_allclose(graph.toarray(), np.eye(4) / (2 + 1e-7), rtol=1e-6)


@pytest.mark.parametrize("neighbours", [1, 2, 5])
def test_equal_rows_never_push_an_item_out_of_its_own_list(neighbours):
    features = np.repeat(random_features(2), [12, 3], axis=0)
    graph = neighbour_matrix(features, neighbours).toarray()
    assert (graph.diagonal() > 0).all()
    assert (np.count_nonzero(graph, axis=1) == neighbours).all()
    within = np.repeat([0, 1], [12, 3])
    rows, columns = np.nonzero(graph)
    inside = within[rows] == within[columns]
    assert inside[within[rows] == 0].all()
    assert inside[within[rows] == 1].sum() == 3 * min(3, neighbours)


def test_as_many_neighbours_as_items_link_everything():
    assert (neighbour_matrix(random_features(5), 5).toarray() > 0).all()


@pytest.mark.parametrize("neighbours", [0, -1, 6])
def test_a_number_of_neighbours_out_of_range_is_refused(neighbours):
    with pytest.raises(ValueError, match=rf"neighbours must lie in \[1, 5\].*but is {neighbours}"):
        neighbour_matrix(random_features(5), neighbours)


@pytest.mark.parametrize("entries", [1, 23, 24, 100, 23 * 7])
def test_the_size_of_blocks_does_not_matter(monkeypatch, entries):
    features = random_features()
    features[5] = 0
    features[9:12] = features[3]
    # Equal rows may be chosen in any order, so keep enough to hold all of them.
    whole = neighbour_matrix(features, 8).toarray()
    monkeypatch.setattr(similarity, "BLOCK_ENTRIES", entries)
    np.testing.assert_array_equal(neighbour_matrix(features, 8).toarray(), whole)


def test_the_features_are_left_as_they_are():
    features = random_features()
    features.flags.writeable = False
    before = features.copy()
    neighbour_matrix(features, 3)
    np.testing.assert_array_equal(features, before)


@given(seed=some.integers(0, 2**32 - 1), neighbours=some.integers(1, 9))
def test_numbering_the_items_anew_numbers_the_graph_anew(seed, neighbours):
    features = random_features(9, seed=seed)
    order = np.random.default_rng(seed + 1).permutation(9)
    expected = neighbour_matrix(features, neighbours).toarray()[order][:, order]
    np.testing.assert_array_equal(neighbour_matrix(features[order], neighbours).toarray(), expected)
