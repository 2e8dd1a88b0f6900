import pytest
import torch

from flatrec.ops import logsumexp
from flatrec.ops.logsumexp import log_sum_exp


def tensor(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("bound", [4.0, 1e3])
def test_a_bound_on_the_products_changes_nothing(bound):
    left, right = tensor(70, 3).clamp(-1, 1).requires_grad_(), tensor(9, 3, seed=1).clamp(-1, 1).requires_grad_()
    outcomes = [log_sum_exp(left, right, bound), (left @ right.T).logsumexp(dim=1)]
    torch.testing.assert_close(*outcomes)
    weights = tensor(70, seed=2)
    torch.testing.assert_close(*(torch.autograd.grad((weights * one).sum(), [left, right]) for one in outcomes))
    assert torch.autograd.gradgradcheck(lambda a, b: log_sum_exp(a, b, bound), (left[:4], right[:5]))


@pytest.mark.parametrize("tile", [(1, 1), (2, 4), (3, 9), (64, 2), (10, 10)])
def test_log_sum_exp_does_not_depend_on_its_tiles(monkeypatch, tile):
    monkeypatch.setattr(logsumexp, "TILE_ROWS", tile[0])
    monkeypatch.setattr(logsumexp, "TILE_COLUMNS", tile[1])
    left, right = tensor(7, 3).requires_grad_(), tensor(9, 3, seed=1).requires_grad_()
    weights = tensor(7, seed=2)
    outcomes = [log_sum_exp(left, right), (left @ right.T).logsumexp(dim=1)]
    torch.testing.assert_close(*outcomes)
    gradients = [torch.autograd.grad((weights * one).sum(), [left, right]) for one in outcomes]
    torch.testing.assert_close(*gradients)


def test_log_sum_exp_is_differentiable_twice():
    arguments = (tensor(4, 2).requires_grad_(), tensor(5, 2, seed=1).requires_grad_())
    assert torch.autograd.gradcheck(log_sum_exp, arguments)
    assert torch.autograd.gradgradcheck(log_sum_exp, arguments)


def test_log_sum_exp_is_finite_for_large_products():
    left = torch.full((2, 1), 1e3, requires_grad=True)
    outcome = log_sum_exp(left, torch.tensor([[1.0], [-1.0]]))
    assert outcome.tolist() == [1e3, 1e3]
    assert torch.autograd.grad(outcome.sum(), left)[0].flatten().tolist() == [1, 1]
