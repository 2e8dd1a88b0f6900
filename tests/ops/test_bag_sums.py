"""The kernel of sparse products: rows as a whole, as on a CPU, and long rows in pieces, as on a GPU."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from flatrec.ops.bag_sums import bag_sums, cut_rows, split_bag_sums
from flatrec.ops.sddmm import Edges
from flatrec.ops.spmm import Graph, product


def arrays(lengths, n_columns, dtype=torch.float32):
    stream = torch.Generator().manual_seed(0)
    offsets = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    n_entries = int(offsets[-1])
    indices = torch.randint(n_columns, (n_entries,), generator=stream, dtype=torch.int32)
    values, dense = torch.randn(n_entries, generator=stream), torch.randn(n_columns, 5, generator=stream)
    return dense.to(dtype), offsets, indices, values.to(dtype)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(lambda lengths: max(lengths) > 3))
def test_pieces_cover_every_row_and_none_is_too_long(lengths):
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flatrec.ops.bag_sums.PIECE_ENTRIES", 3)
        starts, numbers, first = cut_rows(offsets, sum(lengths))
    assert 0 <= starts.diff().min() <= starts.diff().max() <= 3
    assert torch.equal(starts[first], offsets)
    assert torch.equal(numbers, torch.arange(len(starts) - 1))
    assert (first.diff() - (offsets.diff() + 2) // 3).max() <= 1


def test_no_row_gets_the_pieces_that_others_spare():
    """A GPU walks along the pieces of a row one after the other."""
    offsets = torch.arange(0, 100_001 * 50, 50, dtype=torch.int32)
    offsets[-1] += 1_000  # so that one row is long
    _, _, first = cut_rows(offsets, int(offsets[-1]))
    assert first.diff().max() <= 1 + -(-1_050 // 128)


def test_many_empty_rows_do_not_overflow_32_bits(monkeypatch):
    monkeypatch.setattr("flatrec.ops.bag_sums.PIECE_ENTRIES", 2**20)
    offsets = torch.zeros(5_001, dtype=torch.int32)
    offsets[-1] = 2**20 + 1
    starts, _, first = cut_rows(offsets, 2**20 + 1)
    assert starts.min() >= 0
    assert torch.equal(starts[first], offsets)


def cut(*offsets):
    return cut_rows(torch.tensor(offsets), offsets[-1])


def test_rows_that_fit_into_a_piece_stay_whole():
    assert cut(0, 128, 128, 130) is None
    assert cut(0, 129) is not None
    assert cut(0) is None


def test_other_devices_are_not_asked_how_long_rows_are():
    pieces = cut_rows(torch.empty(4, dtype=torch.int64, device="meta"), 1000)
    assert [len(one) for one in pieces] == [3 + 7 + 1, 3 + 7, 4]


@pytest.mark.parametrize("lengths", [[700, 0, 1, 20], [0, 0, 300], [129], [128, 256, 257]])
def test_sums_of_pieces_are_those_of_rows(lengths):
    dense, offsets, indices, values = arrays(lengths, 6)
    sums = split_bag_sums(dense, cut_rows(offsets, len(indices)), indices, values)
    expected = bag_sums(dense.double(), offsets, indices, values.double())
    torch.testing.assert_close(sums.double(), expected, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(sums, bag_sums(dense, offsets, indices, values), rtol=1e-6, atol=1e-5)


HALVES = [(torch.bfloat16, 2e-2), (torch.float16, 2e-3)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-14), *HALVES])
def test_pieces_take_values_of_every_type(dtype, tolerance):
    dense, offsets, indices, values = arrays([400, 0, 3], 6, dtype)
    sums = split_bag_sums(dense, cut_rows(offsets, len(indices)), indices, values)
    expected = bag_sums(dense.double(), offsets, indices, values.double())
    assert sums.dtype == dtype
    torch.testing.assert_close(sums.double(), expected, rtol=tolerance, atol=20 * tolerance)


def popular():
    """A matrix in which one row, and one column, is long."""
    stored = np.zeros((40, 300), dtype=np.float32)
    stored[3], stored[:, 7] = 1, 2
    return sparse.coo_array(stored)


def test_graphs_and_edges_cut_their_long_rows_and_no_others():
    stored = popular()
    graph, edges = Graph(sparse.csr_array(stored), symmetric=False), Edges(stored.row, stored.col, stored.shape)
    for matrix, n_arrays in ((graph.matrix, 6), (graph.transposed, 3), (edges.by_row, 6), (edges.by_column, 3)):
        assert len(matrix.arrays) == n_arrays
    dense = torch.randn(300, 4, generator=torch.Generator().manual_seed(1))
    whole, split = (product(dense, graph.matrix.arrays, split=one) for one in (False, True))
    torch.testing.assert_close(split, whole, rtol=1e-6, atol=1e-5)
    assert torch.equal(whole, graph(dense))


def test_another_device_takes_the_pieces(monkeypatch):
    """Shapes are computed there, by both kernels."""
    graph = Graph(sparse.csr_array(popular()), symmetric=False).to("meta")
    calls = []
    monkeypatch.setattr("flatrec.ops.spmm.split_bag_sums", lambda *given: calls.append(1) or split_bag_sums(*given))
    assert graph(torch.empty(300, 4, device="meta")).shape == (40, 4)
    assert len(calls) == 1
