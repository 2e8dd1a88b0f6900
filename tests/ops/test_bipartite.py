"""Layers of users and items give the same rows in two tables and in one."""

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.autograd import gradcheck, gradgradcheck

from flatrec.ops.bipartite import as_tables, both_ways, neighbor_products, split_table
from flatrec.ops.spmm import Graph


def graphs(n_users, n_items):
    stream = np.random.default_rng(0)
    stored = stream.standard_normal((2, n_users, n_items)) * (stream.random((n_users, n_items)) < 0.6)
    to_users, to_items = sparse.csr_array(stored[0]), sparse.csr_array(stored[1].T)
    return [Graph(one, symmetric=False).double() for one in (to_users, to_items)]


def rows(*shape, seed=0):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=stream, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize(("n_users", "n_items"), [(5, 3), (3, 5)])
def test_one_table_gives_the_rows_of_two_and_their_gradients(n_users, n_items):
    to_users, to_items = graphs(n_users, n_items)
    nodes, weight, slopes = rows(n_users + n_items, 4), rows(4, 2, seed=1), rows(n_users + n_items, 2, seed=2)
    results = []
    for tables in (list(nodes.split([n_users, n_items])), [nodes]):
        product = torch.cat(neighbor_products(to_users, to_items, tables, weight))
        results.append((product, *torch.autograd.grad((product * slopes).sum(), [nodes, weight])))
    for two, one in zip(*results, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


def test_both_derivatives_of_the_product_both_ways_pass_the_numerical_check():
    to_users, to_items = graphs(4, 3)
    assert gradcheck(lambda nodes: both_ways(to_users, to_items, nodes), (rows(7, 2),))
    assert gradgradcheck(lambda nodes: both_ways(to_users, to_items, nodes) ** 3, (rows(7, 2),))


def test_a_cpu_keeps_users_and_items_apart_and_other_devices_do_not():
    assert [len(table) for table in split_table(torch.ones(7, 2), (4, 3))] == [4, 3]
    assert [len(table) for table in as_tables(torch.ones(4, 2), torch.ones(3, 2))] == [4, 3]
    assert [len(table) for table in split_table(torch.empty(7, 2, device="meta"), (4, 3))] == [7]
    there = (torch.empty(size, 2, device="meta") for size in (4, 3))
    assert [len(table) for table in as_tables(*there)] == [7]
