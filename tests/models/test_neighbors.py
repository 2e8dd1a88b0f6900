"""Matrices of neighbors: what is stored, and lengths to the last digit."""

import numpy as np
import torch
from scipy import sparse

from flatrec.models.neighbors import cosines_of_rows, largest_per_row, squared_lengths


def test_a_row_stores_its_largest_entries_and_no_zero():
    found = largest_per_row(torch.tensor([[0.0, 3, 1, 2], [0, 0, 5, 0], [0, 0, 0, 0]]), 2)
    assert found.toarray().tolist() == [[0, 3, 0, 2], [0, 0, 5, 0], [0, 0, 0, 0]]
    assert np.diff(found.indptr).tolist() == [2, 1, 0]


def test_squares_are_added_up_in_double_precision():
    rows = sparse.csr_array(np.array([[4096.0] + [1.0] * 41, [0.0] * 42], dtype=np.float32))
    assert squared_lengths(rows, np.float64).tolist() == [4096**2 + 41, 0]  # odd, so that float32 has no such number
    assert squared_lengths(rows, np.float32).dtype == np.float32


def test_a_row_of_zeros_is_similar_to_nothing():
    rows = sparse.csr_array(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32))
    similar = cosines_of_rows(rows, rows, shrinkage=0.0, without_diagonal=False)
    assert similar(slice(0, 2)).tolist() == [[1, 0], [0, 0]]
