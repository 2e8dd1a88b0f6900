"""What is registered with torch is what is computed: shapes, gradients, and the same values in compiled code."""

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.library import opcheck

import flatrec.ops.bipartite
import flatrec.ops.logsumexp
import flatrec.ops.matmul
import flatrec.ops.normalize
import flatrec.ops.propagation
import flatrec.ops.topk  # noqa: F401 - what is imported is registered
from flatrec.ops.sddmm import Edges
from flatrec.ops.spmm import Graph


def rows(*shape, seed=1, trained=True):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_(trained)


def matrices():
    stored = np.array([[1.0, 0, 2], [0, 3, 0], [4, 0, 0], [0, 0, 0]], dtype=np.float32)
    graph = Graph(sparse.csr_array(stored), symmetric=False)
    return graph.matrix.arrays, graph.transposed.arrays


def square():
    graph = Graph(sparse.csr_array(np.array([[1.0, 2], [2, 0]], dtype=np.float32)), symmetric=True)
    return graph.matrix.arrays, graph.transposed.arrays


def there_and_back():
    (matrix, transposed), n_columns = matrices(), 3
    assert len(transposed[0]) == n_columns + 1
    return matrix, transposed, matrix, transposed


def edges():
    return Edges(np.array([2, 0, 0, 1]), np.array([1, 0, 1, 1]), (3, 2))._arrays


GIVEN = {
    "spmm": lambda: (rows(3, 2), *matrices()),
    "propagate": lambda: (rows(2, 3), *square(), 2, 0.5),
    "both_ways": lambda: (rows(7, 2), *there_and_back()),
    "edge_product": lambda: (rows(4), rows(2, 3), *edges()),
    "sddmm": lambda: (rows(3, 2), rows(2, 2), *edges()),
    "l2_normalize": lambda: (rows(5, 3),),
    "l2_normalize_backward": lambda: (rows(5, 3, trained=False), rows(5, 3, trained=False), rows(5, 1, trained=False)),
    "log_sum_exp": lambda: (rows(5, 3), rows(4, 3), False),
    "log_sum_exp_backward": lambda: (
        *(rows(*shape, trained=False) for shape in ((5,), (5, 3), (4, 3), (5,))), False,
    ),
    "stable_topk": lambda: (torch.tensor([[1.0, 3, 3, 2], [0, 0, 0, 0]]), 2),
    "linear": lambda: (rows(5, 3), rows(4, 3), rows(4)),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_torch_finds_no_fault_in_what_is_registered(name):
    opcheck(getattr(torch.ops.flatrec, name).default, GIVEN[name]())
