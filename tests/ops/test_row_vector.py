"""Vectors that are zero but in some rows: sums by their rows, and ordinary tensors where they are read."""

from __future__ import annotations

import pytest
import torch

from flatrec.ops.param_vector import dot, lerp_, norm
from flatrec.ops.row_norms import row_directions, row_norms
from flatrec.ops.row_vector import RowIndex, RowMatrix, RowVector

pytestmark = pytest.mark.repeats  # comparing an annotation with a vector reads one of its tensors as a whole


def matrix(values, rows=(3, 1), n_all=5):
    return RowMatrix(torch.tensor(rows), torch.tensor(values, dtype=torch.float64), n_all)


def test_an_index_has_each_row_once_in_order_and_finds_every_reading():
    index = RowIndex.of(torch.tensor([4, 0, 4, 2]), 6)
    assert index.rows.tolist() == [0, 2, 4]
    assert index.places.tolist() == [2, 0, 2, 1]


def test_a_matrix_read_as_a_whole_is_one_tensor_that_keeps_changes_in_place():
    vector = RowVector([matrix([[3.0, 4.0], [1.0, 2.0]])])
    assert vector[0].tolist() == [[0, 0], [1, 2], [0, 0], [3, 4], [0, 0]]
    lerp_(vector, [torch.full((5, 2), 8.0, dtype=torch.float64)], 0.5)
    assert vector[0].tolist() == [[4, 4], [4.5, 5], [4, 4], [5.5, 6], [4, 4]]
    assert float(norm(vector)) == pytest.approx(float(vector[0].norm()), abs=1e-10)
    with pytest.raises(ValueError, match="read as a whole"):
        vector.parts[0].with_values(torch.zeros(2, 2))


def test_norm_and_product_count_every_row_once_without_reading_the_whole():
    one, other = matrix([[3.0, 4.0], [0.0, 12.0]]), torch.tensor([2.0, 1.0], dtype=torch.float64)
    same_rows = one.with_values(torch.tensor([[1.0, 1.0], [2.0, 0.5]], dtype=torch.float64))
    assert float(norm(RowVector([one, other]))) == pytest.approx((25 + 144 + 5) ** 0.5, abs=1e-10)
    assert float(dot(RowVector([one, other]), RowVector([same_rows, other]))) == pytest.approx(7 + 6 + 5, abs=1e-10)
    assert one.rows is not None


def test_product_of_matrices_with_other_rows_counts_the_common_ones():
    one, other = matrix([[3.0, 4.0], [0.0, 12.0]]), matrix([[5.0, 6.0], [7.0, 8.0]], rows=(0, 3))
    assert float(dot(RowVector([one]), RowVector([other]))) == pytest.approx(3 * 7 + 4 * 8, abs=1e-10)


def test_rows_get_lengths_of_their_own_as_in_the_whole_matrix():
    params = torch.arange(10, dtype=torch.float64).reshape(5, 2)
    some = row_directions(RowVector([matrix([[3.0, 4.0], [0.0, 0.0]])]), row_norms([params]))
    assert some.parts[0].rows.tolist() == [3, 1]
    want = torch.zeros(5, 2, dtype=torch.float64)
    want[3] = 85**0.5 * torch.tensor([0.6, 0.8], dtype=torch.float64)  # the row (6, 7) of the parameters
    assert torch.allclose(some[0], want, atol=1e-10, rtol=0)
    (whole,) = row_directions([matrix([[3.0, 4.0], [0.0, 0.0]]).whole()], row_norms([params]))
    assert torch.equal(whole, some[0])


def test_slices_are_lists_of_tensors():
    vector = RowVector([matrix([[3.0, 4.0], [1.0, 2.0]]), torch.ones(2), torch.zeros(1)])
    assert [tensor.shape for tensor in vector[:2]] == [(5, 2), (2,)]
    assert len(vector) == len(list(vector)) == 3
    assert [column.shape for column in row_norms(vector)[:]] == [(5, 1), (1, 1), (1, 1)]
