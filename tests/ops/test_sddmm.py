import numpy as np
import pytest
import torch

from flatrec.ops import sddmm
from flatrec.ops.sddmm import Edges

ROWS = np.array([3, 0, 0, 2, 3, 3, 0])
COLUMNS = np.array([1, 4, 0, 2, 1, 3, 4])  # 0-4 and 3-1 stand twice; row 1 has no edge
SHAPE = (4, 5)


@pytest.fixture
def edges():
    return Edges(ROWS, COLUMNS, SHAPE)


def tensor(*shape, seed=0):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=stream, dtype=torch.float64, requires_grad=True)


def dense(values):
    matrix = torch.zeros(SHAPE, dtype=values.dtype)
    return matrix.index_put((torch.from_numpy(ROWS), torch.from_numpy(COLUMNS)), values, accumulate=True)


def test_the_product_equals_dense_algebra_and_edges_that_fall_together_add_up(edges):
    values, right = tensor(7), tensor(5, 3, seed=1)
    torch.testing.assert_close(edges.product(values, right), dense(values) @ right)


def test_inner_products_are_those_of_the_end_rows(edges):
    left, right = tensor(4, 3), tensor(5, 3, seed=1)
    torch.testing.assert_close(edges.sddmm(left, right), (left @ right.T)[ROWS, COLUMNS])


def test_the_size_of_blocks_does_not_matter(edges, monkeypatch):
    left, right = tensor(4, 3), tensor(5, 3, seed=1)
    whole = edges.sddmm(left, right)
    for entries in (1, 3, 7, 20):
        monkeypatch.setattr(sddmm, "BLOCK_ENTRIES", entries)
        assert torch.equal(edges.sddmm(left, right), whole)


def test_row_sums_count_every_edge(edges):
    torch.testing.assert_close(edges.row_sums(tensor(7)), dense(tensor(7)).sum(dim=1))


def test_the_softmax_is_taken_over_the_edges_of_each_row(edges):
    logits = tensor(7)
    powers = logits.exp()
    expected = powers / torch.stack([powers[torch.from_numpy(row == ROWS)].sum() for row in ROWS])
    torch.testing.assert_close(edges.softmax(logits), expected)


def test_the_softmax_is_finite_for_any_logits(edges):
    logits = torch.tensor([1e4, -1e4, 1e4, 0.0, 3e4, 0.0, 0.0], requires_grad=True)
    weights = edges.softmax(logits)
    assert torch.allclose(edges.row_sums(weights), torch.tensor([1.0, 0.0, 1.0, 1.0]))
    (gradient,) = torch.autograd.grad(weights.square().sum(), logits)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_all_products_are_differentiable_twice_in_all_they_take(edges, check):
    assert check(edges.product, (tensor(7), tensor(5, 2, seed=1)))
    assert check(edges.sddmm, (tensor(4, 2), tensor(5, 2, seed=1)))
    assert check(edges.softmax, (tensor(7),))


def test_a_gradient_that_is_not_needed_is_not_computed(edges):
    values, right = tensor(7), tensor(5, 3, seed=1).detach()
    (gradient,) = torch.autograd.grad(edges.product(values, right).sum(), values)
    torch.testing.assert_close(gradient, right.sum(dim=1)[COLUMNS])


def test_no_edges_give_zeros():
    nothing = Edges(np.zeros(0, np.int32), np.zeros(0, np.int32), SHAPE)
    assert torch.equal(nothing.product(torch.zeros(0), torch.ones(5, 2)), torch.zeros(4, 2))
    assert nothing.sddmm(torch.ones(4, 2), torch.ones(5, 2)).shape == (0,)
    assert nothing.softmax(torch.zeros(0)).shape == (0,)


def test_edges_are_no_part_of_a_models_state(edges):
    assert not edges.state_dict()
