import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.models import PureSVD
from flatrec.ops.singular_vectors import right_singular_vectors
from tests.models.shops import dataset_of, unequal, weighted_dataset


@pytest.fixture(params=["dense", "iterative"])
def method(request, monkeypatch):
    monkeypatch.setattr("flatrec.ops.singular_vectors.DENSE_BELOW", 1000 if request.param == "dense" else 0)


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize("make", [unequal, weighted_dataset])
@pytest.mark.parametrize("dim", [1, 5, 12])
def test_scores_are_projections_on_the_leading_eigenvectors(make, dim):
    dataset = make()
    matrix = dataset.interactions.weight_matrix("train").toarray().astype(np.float64)
    leading = np.linalg.eigh(matrix.T @ matrix)[1][:, -dim:]  # eigenvalues are in increasing order
    scoring = PureSVD(dataset, PureSVD.Config(embedding_dim=dim)).scoring()
    expected = matrix @ leading @ leading.T
    np.testing.assert_allclose(scoring.scores(torch.arange(40)), expected, atol=2e-6 * np.abs(expected).max())


@pytest.mark.usefixtures("method")
def test_the_best_approximation_of_its_rank_is_no_worse_than_the_singular_values_say():
    matrix = unequal().interactions.matrix("train").astype(np.float64)
    values, vectors = right_singular_vectors(matrix, 6)
    every = np.linalg.svd(matrix.toarray(), compute_uv=False)
    np.testing.assert_allclose(values, every[:6], rtol=1e-10)
    left = matrix.toarray() - matrix.toarray() @ vectors.T @ vectors
    assert np.square(left).sum() == pytest.approx(np.square(every[6:]).sum())


@pytest.mark.usefixtures("method")
def test_a_wide_matrix_is_decomposed_like_a_tall_one():
    matrix = unequal().interactions.matrix("train").astype(np.float64)
    wide = matrix[:15]
    values, vectors = right_singular_vectors(wide.tocsr(), 4)
    np.testing.assert_allclose(values, np.linalg.svd(wide.toarray(), compute_uv=False)[:4], rtol=1e-10)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(4), atol=1e-10)


def test_columns_beyond_the_rank_are_zero():
    scoring = PureSVD(
        dataset_of(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]])), PureSVD.Config(embedding_dim=5)
    ).scoring()
    assert scoring.items.shape == (3, 5)
    assert scoring.items[:, 2:].abs().max() == 0
    torch.testing.assert_close(scoring.scores(torch.arange(3)), torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]))


@pytest.mark.usefixtures("method")
def test_equal_data_give_equal_bits():
    first, second = (PureSVD(unequal(), PureSVD.Config(embedding_dim=6)).scoring() for _ in range(2))
    assert torch.equal(first.users, second.users)
    assert torch.equal(first.items, second.items)


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize("count", [15, 24, 30])
def test_more_vectors_than_there_are_come_back_as_zeros(count):
    matrix = unequal().interactions.matrix("train").astype(np.float64)[:15].tocsr()
    values, vectors = right_singular_vectors(matrix, count)
    every = np.linalg.svd(matrix.toarray(), compute_uv=False)
    np.testing.assert_allclose(values, np.pad(np.where(every > 1e-9, every, 0), (0, count - 15)), rtol=1e-9, atol=1e-12)
    assert vectors.shape == (count, 24)
    assert not vectors[values == 0].any()


@pytest.mark.usefixtures("method")
def test_equal_matrices_have_vectors_of_equal_bits():
    matrix = unequal().interactions.matrix("train").astype(np.float64)
    for first, second in zip(right_singular_vectors(matrix, 6), right_singular_vectors(matrix, 6), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.usefixtures("method")
def test_the_largest_entry_of_a_vector_is_positive():
    matrix = unequal().interactions.matrix("train").astype(np.float64)
    for sign in (1, -1):
        _, vectors = right_singular_vectors(sign * matrix, 6)
        assert (vectors[np.arange(6), np.abs(vectors).argmax(axis=1)] > 0).all()


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_rank_does_not_depend_on_the_unit(scale):
    # Values 1, 1e-4 and, but for rounding, 0.
    matrix = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 2e-4], [0, 0, 0]]) * scale
    values, vectors = right_singular_vectors(sparse.csr_array(matrix), 3)
    np.testing.assert_allclose(values, np.array([2, 2e-4, 0]) * scale, rtol=1e-9)
    np.testing.assert_allclose(vectors, [[0.5**0.5, 0.5**0.5, 0], [0, 0, 1], [0, 0, 0]], atol=1e-9)
