"""What holds of a perturbation whatever the shapes, the precision and the gradients are."""

import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as some
from torch import nn

from flatrec.ops.param_vector import blend, cosine, dot, ema_update, lerp_, norm, plus_scaled
from flatrec.optim import ASAM, BSAM, GSAM, SAM, SSAM, FisherSAM, FriendlySAM, GradientNormPenalty, LookSAM, VaSSO
from flatrec.strategies import Point

SHAPES = some.lists(some.lists(some.integers(1, 5), max_size=3), min_size=1, max_size=4)
PRECISIONS = {torch.float64: 1e-9, torch.float32: 2e-4, torch.bfloat16: 4e-2}
KINDS = [SAM, FriendlySAM, BSAM, VaSSO, GSAM, GradientNormPenalty, LookSAM, SSAM, ASAM, FisherSAM]


def vectors(shapes, seed, kind, count):
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(shape, generator=generator).to(kind) for shape in shapes] for _ in range(count)]


@example(shapes=[[], []], seed=1623, precision=torch.bfloat16, rho=1.0, kind=BSAM)  # where d m is g exactly
@given(
    shapes=SHAPES,
    seed=some.integers(0, 2**20),
    precision=some.sampled_from(list(PRECISIONS)),
    rho=some.floats(0.05, 3),
    kind=some.sampled_from(KINDS),
)
@settings(max_examples=150, deadline=None)
def test_the_perturbation_has_length_rho_and_leaves_no_trace(shapes, seed, precision, rho, kind):
    start, targets = vectors(shapes, seed, precision, 2)
    parameters = [nn.Parameter(one.clone()) for one in start]
    optimizer = kind(torch.optim.SGD(parameters, lr=0.0), rho=rho)
    seen = {}

    def closure():
        optimizer.zero_grad()
        loss = torch.stack([(a - b).square().sum() for a, b in zip(parameters, targets, strict=True)]).sum()
        loss.backward()
        if optimizer.perturbed:
            seen["eps"] = [one.detach().double() - old.double() for one, old in zip(parameters, start, strict=True)]
        else:
            seen["gradient"] = [one.grad.double() for one in parameters]
        return loss

    optimizer.step(closure)
    if "eps" not in seen:  # right only where there is nothing to move along
        assert kind in (SSAM, BSAM)
        values = [one.detach() for one in parameters]
        assert not any(
            part.any()
            for part in kind(torch.optim.SGD(parameters), rho=rho)
            .strategy.perturbation(Point(values, [part.to(precision) for part in seen["gradient"]]))
            .direction
        )
        return
    eps, tolerance = seen["eps"], PRECISIONS[precision]
    if kind is ASAM:
        eps = [part / (old.double().abs() + optimizer.strategy.eta) for part, old in zip(eps, start, strict=True)]
        assume(min(float(old.abs().min()) for old in start) > 0.1)  # else the division shows rounding alone
    if kind is FisherSAM:
        eps = [part * (1 + slope.square()).sqrt() for part, slope in zip(eps, seen["gradient"], strict=True)]
        tolerance *= 20  # large slopes make the moves small beside the parameters they are read from
    assert abs(float(norm(eps)) - rho) <= tolerance * (rho + float(norm([one.double() for one in start])))
    assert all(torch.equal(one, old) for one, old in zip(parameters, start, strict=True))
    assert all(one.dtype == precision for one in parameters)


@given(shapes=SHAPES, seed=some.integers(0, 2**20), weight=some.floats(-2, 2))
@settings(max_examples=60, deadline=None)
def test_the_algebra_is_that_of_one_flat_vector(shapes, seed, weight):
    one, other = vectors(shapes, seed, torch.float64, 2)
    a, b = (torch.cat([part.flatten() for part in vector]) for vector in (one, other))

    def flat(vector):
        return torch.cat([part.flatten() for part in vector])

    assert torch.allclose(norm(one), a.norm())
    assert torch.allclose(dot(one, other), a @ b)
    assert torch.allclose(ema_update([part.clone() for part in one], other, 0.0).manhattan, (a - b).abs().sum())
    assert torch.allclose(cosine(one, other), torch.nn.functional.cosine_similarity(a, b, dim=0))
    assert torch.allclose(flat(plus_scaled(one, other, torch.tensor(-1.0))), a - b)
    assert torch.allclose(flat(blend(one, other, weight)), weight * a + (1 - weight) * b)
    assert torch.allclose(flat(plus_scaled(one, other, torch.tensor(weight))), a + weight * b, atol=1e-6)
    moved = [part.clone() for part in one]
    lerp_(moved, other, weight)
    assert torch.allclose(flat(moved), weight * b + (1 - weight) * a)
