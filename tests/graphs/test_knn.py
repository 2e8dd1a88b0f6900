import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from flatrec.graphs import knn as module
from flatrec.graphs.knn import fused_knn_graph, knn, knn_matrix, modality_weights
from tests.strategies.test_waiting import Readings

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "neighbors.py"


def random_features(n_items=23, width=6, seed=0):
    return np.random.default_rng(seed).standard_normal((n_items, width)).astype(np.float32)


def by_dense_algebra(features, neighbors):
    """Row by row in float64: sort all cosines, keep the largest k, the item itself first."""
    wide = features.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    graph = np.zeros((len(wide), len(wide)))
    for row in range(len(wide)):
        with np.errstate(invalid="ignore", divide="ignore"):
            cosines = np.nan_to_num(wide @ wide[row] / (lengths * lengths[row]))
        cosines[row] = 2
        graph[row, np.argsort(-cosines, kind="stable")[:neighbors]] = 1
    return graph


@pytest.mark.parametrize("neighbors", [1, 2, 7, 23])
def test_the_graph_equals_dense_algebra(neighbors):
    features = random_features()
    graph = knn_matrix(features, neighbors)
    np.testing.assert_array_equal(graph.toarray() > 0, by_dense_algebra(features, neighbors) > 0)
    np.testing.assert_allclose(graph.data, 1 / (neighbors + 1e-7), rtol=1e-6)


def test_length_does_not_matter_but_direction_does():
    features = np.array([[1, 0], [100, 1], [-1, 0], [0, 1]], dtype=np.float32)
    linked = knn_matrix(features, 2).toarray() > 0
    assert linked[0].tolist() == [True, True, False, False]
    assert linked[2].tolist() == [False, False, True, True]


def test_links_are_directed():
    # Item 2 is nearest to 1, whose own nearest is 0.
    angles = np.array([0.0, 0.1, 0.5])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert (knn_matrix(features, 2).toarray() > 0).tolist() == [[1, 1, 0], [1, 1, 0], [0, 1, 1]]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_scale_of_all_features_does_not_matter(scale):
    features = random_features()
    np.testing.assert_array_equal(
        knn_matrix((features * scale).astype(np.float32), 4).toarray(), knn_matrix(features, 4).toarray()
    )


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_features_near_the_ends_of_float32_keep_their_direction(scale):
    features = random_features()
    np.testing.assert_array_equal(
        knn_matrix((features * scale).astype(np.float32), 4).toarray(), knn_matrix(features, 4).toarray()
    )


def test_a_row_of_zeros_links_to_itself_alone():
    features = random_features(6)
    features[2] = 0
    graph = knn_matrix(features, 3).toarray()
    assert np.flatnonzero(graph[2]).tolist() == [2]
    assert graph[2, 2] == np.float32(1 / (3 + 1e-7))
    others = [0, 1, 3, 4, 5]
    assert (np.count_nonzero(graph[others], axis=1) == 3).all()


def test_zeros_everywhere_give_the_identity():
    graph = knn_matrix(np.zeros((4, 2), dtype=np.float32), 2)
    np.testing.assert_allclose(graph.toarray(), np.eye(4) / (2 + 1e-7), rtol=1e-6)


@pytest.mark.parametrize("neighbors", [1, 2, 5])
def test_equal_rows_never_push_an_item_out_of_its_own_list(neighbors):
    features = np.repeat(random_features(2), [12, 3], axis=0)
    graph = knn_matrix(features, neighbors).toarray()
    assert (graph.diagonal() > 0).all()
    assert (np.count_nonzero(graph, axis=1) == neighbors).all()
    within = np.repeat([0, 1], [12, 3])
    rows, columns = np.nonzero(graph)
    inside = within[rows] == within[columns]
    assert inside[within[rows] == 0].all()
    assert inside[within[rows] == 1].sum() == 3 * min(3, neighbors)


def test_as_many_neighbors_as_items_link_everything():
    assert (knn_matrix(random_features(5), 5).toarray() > 0).all()


@pytest.mark.parametrize("neighbors", [0, -1, 6])
def test_a_number_of_neighbors_out_of_range_is_refused(neighbors):
    with pytest.raises(ValueError, match=rf"neighbors must lie in \[1, 5\].*but is {neighbors}"):
        knn_matrix(random_features(5), neighbors)


@pytest.mark.parametrize("entries", [1, 23, 24, 100, 23 * 7])
def test_the_size_of_blocks_does_not_matter(monkeypatch, entries):
    features = random_features()
    features[5] = 0
    features[9:12] = features[3]
    # Equal rows may be chosen in any order, so keep enough to hold all of them.
    whole = knn_matrix(features, 8).toarray()
    monkeypatch.setattr(module, "BLOCK_ENTRIES", entries)
    np.testing.assert_array_equal(knn_matrix(features, 8).toarray(), whole)


def test_the_features_are_left_as_they_are():
    features = random_features()
    features.flags.writeable = False
    before = features.copy()
    knn_matrix(features, 3)
    np.testing.assert_array_equal(features, before)


@given(seed=some.integers(0, 2**32 - 1), neighbors=some.integers(1, 9))
def test_numbering_the_items_anew_numbers_the_graph_anew(seed, neighbors):
    features = random_features(9, seed=seed)
    order = np.random.default_rng(seed + 1).permutation(9)
    expected = knn_matrix(features, neighbors).toarray()[order][:, order]
    np.testing.assert_array_equal(knn_matrix(features[order], neighbors).toarray(), expected)


@pytest.mark.parametrize("columns", [1, 2, 5, 22, 23, 24])
@pytest.mark.parametrize("entries", [1, 50, 1000])
def test_the_width_of_blocks_does_not_matter(monkeypatch, columns, entries):
    features = random_features()
    features[5] = 0
    whole = knn(features, 8)
    monkeypatch.setattr(module, "BLOCK_COLUMNS", columns)
    monkeypatch.setattr(module, "BLOCK_ENTRIES", entries)
    parts = knn(features, 8)
    assert parts[:, 0].tolist() == list(range(23))
    directed = np.arange(23) != 5  # what a row of zeros is linked to means nothing
    np.testing.assert_array_equal(parts[directed], whole[directed])


def test_neighbors_come_with_the_item_first_and_then_from_the_nearest_on():
    features = random_features()
    directions = features.astype(np.float64)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cosines = directions @ directions.T
    np.fill_diagonal(cosines, 2)
    np.testing.assert_array_equal(knn(features, 7), np.argsort(-cosines, axis=1)[:, :7])


def test_many_equal_rows_never_push_an_item_out_of_its_own_list_across_blocks(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_COLUMNS", 4)
    features = np.repeat(random_features(1), 30, axis=0)
    nearest = knn(features, 3)
    assert nearest[:, 0].tolist() == list(range(30))
    assert all(len(set(row)) == 3 for row in nearest.tolist())


@pytest.mark.parametrize(
    "features",
    [np.zeros((6, 3)), np.ones((6, 3)), np.full((6, 3), 1e-45), np.full((6, 3), -3e38), np.eye(6)[[0, 0, 1, 1, 2, 2]]],
    ids=["zeros", "ones", "smallest", "largest", "repeated"],
)
def test_rows_without_a_difference_give_a_whole_graph_without_nan(features):
    features = features.astype(np.float32)
    nearest = knn(features, 4)
    assert nearest[:, 0].tolist() == list(range(6))
    assert all(len(set(row)) == 4 and set(row) <= set(range(6)) for row in nearest.tolist())
    assert np.isfinite(knn_matrix(features, 4).data).all()


@pytest.mark.parametrize("neighbors", [0, 6])
def test_neighbors_out_of_range_are_refused_before_anything_is_computed(neighbors):
    with pytest.raises(ValueError, match=rf"neighbors must lie in \[1, 5\].*but is {neighbors}"):
        knn(random_features(5), neighbors)


MODALITIES = [("image", "text"), ("audio", "image", "text"), ("audio", "text"), ("image",), ("text",)]


@pytest.mark.parametrize(
    ("names", "expected"),
    list(zip(MODALITIES, [(0.3, 0.7), (0.35, 0.3, 0.35), (0.5, 0.5), (1.0,), (1.0,)], strict=True)),
)
def test_the_image_has_its_share_and_the_others_divide_the_rest(names, expected):
    assert modality_weights(names, 0.3) == pytest.approx(dict(zip(names, expected, strict=True)))
    assert sum(modality_weights(names, 0.3).values()) == pytest.approx(1)


@pytest.mark.parametrize("image_weight", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("names", MODALITIES)
def test_the_mixed_graph_equals_dense_algebra(names, image_weight):
    features = {name: random_features(width=3 + number, seed=number) for number, name in enumerate(names)}
    weights = modality_weights(names, image_weight)
    expected = sum(weights[name] * by_dense_algebra(features[name], 5) / (5 + 1e-7) for name in names)
    graph = fused_knn_graph(features, 5, image_weight)
    np.testing.assert_allclose(graph.coo().toarray(), expected, rtol=1e-6, atol=1e-9)
    vectors = torch.from_numpy(random_features(width=4, seed=9))
    np.testing.assert_allclose(graph(vectors).numpy(), expected @ vectors.numpy(), rtol=1e-5, atol=1e-6)


def test_links_of_several_modalities_are_added_and_not_normalized_again():
    near, far = (np.array(rows, dtype=np.float32) for rows in ([[1, 0], [1, 0.1], [0, 1]], [[1, 0], [0, 1], [1, 0.1]]))
    mixed = fused_knn_graph({"image": near, "text": far}, 2, 0.25).coo().toarray()
    np.testing.assert_allclose(mixed[0], np.array([1, 0.25, 0.75]) / (2 + 1e-7), rtol=1e-6)


def test_a_mixed_graph_without_a_modality_is_refused():
    with pytest.raises(ValueError, match="at least one modality, but got none"):
        fused_knn_graph({}, 2, 0.5)


def benchmark(*options):
    """What the benchmark prints."""
    finished = subprocess.run([sys.executable, BENCHMARK, *options], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.mark.slow
def test_a_hundred_thousand_items_need_less_than_four_gigabytes():
    result = benchmark("--items", "100000", "--width", "384", "--neighbors", "10")
    assert result["links"] == 1_000_000
    assert result["peak_gib"] < 4


def test_neighbors_on_a_device_are_found_without_waiting():
    rows = torch.ones(30, 4, device="meta")
    with Readings() as readings:
        assert module.nearest_rows(rows, 3).shape == (30, 3)
    assert readings.count == 0


def test_the_blocks_of_a_device_give_the_neighbors_of_the_cpu():
    """Blocks of whole rows, a few at a time."""
    rows = torch.nn.functional.normalize(torch.from_numpy(random_features(50)))
    expected = module.nearest_rows(rows, 4)
    found = [module._nearest_of_block(rows, slice(start, start + 7), 50, 4) for start in range(0, 50, 7)]
    assert torch.equal(torch.cat(found), expected)
