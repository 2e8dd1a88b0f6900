"""How sharp a minimum is, in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Generator, Tensor

from flatrec.ops.param_vector import dot, norm
from flatrec.research.analysis.landscape import Loss, moving, random_directions

DEAD_ENDS = ("torch::autograd::Error", "torch::autograd::NotImplemented")  # where a graph cannot be differentiated


@dataclass(frozen=True)
class Sharpness:
    """Of a loss at a point.

    Args:
        loss: there.
        max_loss_increase: see :func:`max_loss_increase`.
        mean_loss_increase: see :func:`mean_loss_increase`.
        top_eigenvalue: see :func:`top_eigenvalue`.
    """

    loss: float
    max_loss_increase: float
    mean_loss_increase: float
    top_eigenvalue: float


def sharpness(
    loss: Loss,
    parameters: Sequence[Tensor],
    *,
    radius: float,
    generator: Generator,
    draws: int = 10,
    ascents: int = 10,
    iterations: int = 50,
) -> Sharpness:
    """All three numbers; the parameters, one vector of all together, are restored bit for bit.

    Args:
        loss: deterministic, with its graph.
        parameters: that it reads and that are moved.
        radius: of the ball, Euclidean.
        generator: for directions.
        draws: random directions.
        ascents: steps of the search for the worst.
        iterations: of the power method, at most.

    Raises:
        ValueError: a number is out of range, or the loss is not finite within the ball or cannot be differentiated
            twice.
    """
    return Sharpness(
        float(loss().detach()),
        max_loss_increase(loss, parameters, radius=radius, generator=generator, ascents=ascents),
        mean_loss_increase(loss, parameters, radius=radius, generator=generator, draws=draws),
        top_eigenvalue(loss, parameters, generator=generator, iterations=iterations),
    )


def max_loss_increase(
    loss: Loss, parameters: Sequence[Tensor], *, radius: float, generator: Generator, ascents: int = 10
) -> float:
    """The largest rise found within a ball: a lower bound of the true one, 0 if the loss rises nowhere.

    Each point on the sphere lies in the direction of the gradient at the one before, the first where the first-order
    step of SAM leads, or in a random direction where the gradient is 0. On a quadratic this is the power method.

    Raises:
        ValueError: radius or ascents are out of range, or the loss or its gradient is not finite where it is sought.
    """
    _check(radius, ascents)
    with moving(parameters) as center:
        before, way = _value_and_gradients(loss, parameters)
        worst = 0.0
        for _ in range(ascents):
            length = float(norm(way))
            if length == 0:
                way = random_directions(parameters, generator)
                length = float(norm(way))
            offset = [one * (radius / length) for one in way]
            with torch.no_grad():
                for one, middle, step in zip(parameters, center, offset, strict=True):
                    one.copy_(middle).add_(step)
            value, way = _value_and_gradients(loss, parameters)
            worst = max(worst, value - before)
    return worst


def mean_loss_increase(
    loss: Loss, parameters: Sequence[Tensor], *, radius: float, generator: Generator, draws: int = 10
) -> float:
    """The mean rise at a distance, over random directions.

    Raises:
        ValueError: radius or draws are out of range, or the loss is not finite at a point.
    """
    _check(radius, draws)
    before = _finite(float(loss().detach()))
    rises = []
    with moving(parameters) as center, torch.no_grad():
        for _ in range(draws):
            way = random_directions(parameters, generator)
            length = float(norm(way))
            for one, middle, step in zip(parameters, center, way, strict=True):
                one.copy_(middle).add_(step, alpha=radius / length)
            rises.append(_finite(float(loss())) - before)
    return fmean(rises)


def top_eigenvalue(
    loss: Loss, parameters: Sequence[Tensor], *, generator: Generator, iterations: int = 100, tolerance: float = 1e-6
) -> float:
    """The eigenvalue of the Hessian that is largest in size, by the power method; negative if that one is.

    Detached parts of a loss, such as the targets of BM3, count as constants. If others are nearly
    as large in size, the method is slow and may end, by either limit, at a value that is too small in size.

    Args:
        loss: with its graph.
        parameters: those that it does not use count as flat.
        generator: for the vector to begin with.
        iterations: at most.
        tolerance: relative change of the eigenvalue at which to stop.

    Raises:
        ValueError: the loss is not finite, has no graph or cannot be differentiated twice, or iterations or tolerance
            are out of range.
    """
    if iterations < 1 or not 0 <= tolerance < float("inf"):
        raise ValueError(
            f"iterations must be at least 1 and tolerance at least 0, but are {iterations} and {tolerance}"
        )
    gradients = _value_and_gradients(loss, parameters, twice=True)[1]
    _require_twice(gradients)
    vector = random_directions(parameters, generator)
    value = 0.0
    for _ in range(iterations):
        length = float(norm(vector))
        if length == 0:
            return 0.0
        vector = [one / length for one in vector]
        product = _hessian_times(gradients, parameters, vector)
        former, value = value, float(dot(vector, product))
        if abs(value - former) <= tolerance * abs(value):
            break
        vector = product
    return value


def _value_and_gradients(
    loss: Loss, parameters: Sequence[Tensor], *, twice: bool = False
) -> tuple[float, list[Tensor]]:
    """The loss and its slopes, zeros for parameters that it does not use; with their graph if wanted twice."""
    value = loss()
    if not value.requires_grad:
        raise ValueError("the loss must come with its graph, but has none; compute it without no_grad and detach")
    number = _finite(float(value.detach()))
    found = torch.autograd.grad(value, list(parameters), create_graph=twice, allow_unused=True)
    slopes = [torch.zeros_like(one) if slope is None else slope for one, slope in zip(parameters, found, strict=True)]
    _finite(float(norm([slope.detach() for slope in slopes])), "the length of the gradient")
    return number, slopes


def _require_twice(gradients: Sequence[Tensor]) -> None:
    """Refuse dead ends in the graph: torch passes over them where parameters may be unused, as if all were flat."""
    waiting = [one.grad_fn for one in gradients if one.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if node.name() in DEAD_ENDS:
            raise ValueError("the loss cannot be differentiated twice (a part of it has a first derivative only)")
        fresh = {one for one, _ in node.next_functions if one is not None} - seen
        seen |= fresh
        waiting.extend(fresh)


def _hessian_times(gradients: Sequence[Tensor], parameters: Sequence[Tensor], vector: Sequence[Tensor]) -> list[Tensor]:
    used = [(slope, one) for slope, one in zip(gradients, vector, strict=True) if slope.requires_grad]
    if not used:
        return [torch.zeros_like(one) for one in parameters]
    slopes, directions = zip(*used, strict=True)
    try:
        found = torch.autograd.grad(slopes, list(parameters), directions, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        raise ValueError(f"the loss cannot be differentiated twice ({str(error).splitlines()[0]})") from None
    return [torch.zeros_like(one) if row is None else row for one, row in zip(parameters, found, strict=True)]


def _check(radius: float, count: int) -> None:
    if not 0 < radius < float("inf") or count < 1:
        raise ValueError(f"radius must be positive and counts at least 1, but are {radius} and {count}")


def _finite(number: float, what: str = "the loss") -> float:
    if not math.isfinite(number):
        raise ValueError(
            f"{what} must be finite around the point, but is {number}; take a smaller radius, or look at the point"
        )
    return number
