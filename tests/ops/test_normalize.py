import pytest
import torch
from torch.nn import functional as F

from flatrec.ops import normalize as module
from flatrec.ops.normalize import l2_normalize


def rows(count=7, width=5):
    values = torch.randn(count, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values[2] = 0
    return values.requires_grad_()


@pytest.mark.parametrize("entries", [1, 5, 11, 10_000])
def test_rows_and_gradients_are_those_of_torch(monkeypatch, entries):
    monkeypatch.setattr(module, "BLOCK_ENTRIES", entries)
    given = rows()
    slopes = torch.arange(35.0, dtype=torch.float64).view(7, 5)
    outcomes = [l2_normalize(given), F.normalize(given, dim=1)]
    torch.testing.assert_close(*outcomes)
    torch.testing.assert_close(*(torch.autograd.grad((slopes * one).sum(), given) for one in outcomes))


@pytest.mark.parametrize("shape", [(0, 4), (4, 1), (3, 0)])
def test_any_shape_will_do(shape):
    given = torch.ones(shape, requires_grad=True)
    torch.testing.assert_close(l2_normalize(given), F.normalize(given, dim=1))
    torch.autograd.grad(l2_normalize(given).sum(), given)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_short_rows_in_half_precision_are_those_of_float32(kind):
    given = torch.tensor([[2e-3, 0.0], [3.0, 4.0], [0.0, 0.0]], dtype=kind, requires_grad=True)
    single = given.detach().float().requires_grad_()
    outcomes = l2_normalize(given), F.normalize(single, dim=1)
    torch.testing.assert_close(*outcomes)
    slopes = torch.tensor([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]])
    (ours,) = torch.autograd.grad((slopes * outcomes[0]).sum(), given)
    (plain,) = torch.autograd.grad((slopes * outcomes[1]).sum(), single)
    torch.testing.assert_close(ours.float(), plain, rtol=1e-2, atol=1e-3)


def test_derivatives_pass_the_numerical_check():
    given = rows()[3:].detach().requires_grad_()
    assert torch.autograd.gradcheck(l2_normalize, (given,))
    assert torch.autograd.gradgradcheck(l2_normalize, (given,))
