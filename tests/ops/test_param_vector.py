"""The passes that work block by block: every entry counts once, and sums of many small numbers keep their digits."""

from __future__ import annotations

import pytest
import torch

from flatrec.ops.param_vector import BLOCK_ENTRIES, ema_update, plus_scaled_into

SHAPES = [(3, BLOCK_ENTRIES), (BLOCK_ENTRIES + 1,), (5, 7), (0, 4), ()]


def pair(precision):
    generator = torch.Generator().manual_seed(0)
    one = [1e-3 * torch.randn(shape, generator=generator) for shape in SHAPES]
    other = [0.4 * part + 1e-4 * torch.randn(part.shape, generator=generator) for part in one]
    return [part.to(precision) for part in one], [part.to(precision) for part in other]


def flat(vector):
    return torch.cat([part.flatten() for part in vector]).double()


@pytest.mark.parametrize(("precision", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_following_moves_every_entry_and_measures_the_result(precision, tolerance):
    one, other = pair(precision)
    expected = torch.lerp(flat(one), flat(other), 0.3)
    standing = ema_update(one, other, 0.3)
    a, b = flat(one), flat(other)
    assert torch.allclose(a, expected, rtol=tolerance, atol=1e-9)
    measured = [a @ b, a @ a, b @ b, (b - a).abs().sum(), (b - a) @ (b - a)]
    for found, right in zip(standing, measured, strict=True):
        assert float(found) == pytest.approx(float(right), rel=tolerance)
    assert float(ema_update(one, other, 0.0).manhattan) == pytest.approx(float(measured[3]), rel=tolerance)


@pytest.mark.parametrize("factor", [-1.0, -50.0])
def test_a_sum_put_into_a_place_comes_with_its_length_and_product(factor):
    one, other = pair(torch.float32)
    place = [torch.full_like(part, torch.nan) for part in one]
    length, along = plus_scaled_into(place, one, other, factor)
    assert torch.allclose(flat(place), flat(one) + factor * flat(other), rtol=1e-5, atol=1e-8)
    assert float(length) == pytest.approx(float(flat(place).norm()), rel=1e-6)
    assert float(along) == pytest.approx(float(flat(place) @ flat(one)), rel=1e-6)


def test_a_gradient_may_be_stored_in_any_order():
    mean, gradient = [torch.zeros(4, 6)], [torch.arange(24.0).reshape(6, 4).T]
    ema_update(mean, gradient, 1.0)
    assert torch.equal(mean[0], gradient[0])
