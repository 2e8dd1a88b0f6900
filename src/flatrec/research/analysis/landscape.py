"""The loss around a point, along two directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Generator, Tensor

Loss: TypeAlias = Callable[[], Tensor]  # a scalar, the same for the same parameters


@dataclass(frozen=True, eq=False)
class Surface:
    """The loss on a grid.

    Args:
        along: multiples m of the first direction.
        across: multiples n of the second.
        losses: at m = along[i], n = across[j]; NaN where it is not finite.
    """

    along: Float64[ndarray, "points"]
    across: Float64[ndarray, "points"]
    losses: Float64[ndarray, "points points"]


def random_directions(parameters: Sequence[Tensor], generator: Generator) -> list[Tensor]:
    """Standard normal, shaped like the parameters: the paper's protocol; drawn on the CPU."""
    return [torch.randn(one.shape, generator=generator).to(one) for one in parameters]


def filter_normalized(direction: Sequence[Tensor], parameters: Sequence[Tensor]) -> list[Tensor]:
    """Each row of a direction brought to the length of the same row of the parameters.

    Li et al., Visualizing the Loss Landscape of Neural Nets, NeurIPS 2018, https://arxiv.org/abs/1712.09913. As there,
    what has one dimension, such as biases, is not moved.
    """
    return [_like_rows(one, like.detach()) for one, like in zip(direction, parameters, strict=True)]


def surface(
    loss: Loss,
    parameters: Sequence[Tensor],
    directions: tuple[Sequence[Tensor], Sequence[Tensor]],
    *,
    reach: float,
    points: int,
) -> Surface:
    """The loss at p + m n1 + n n2, for m and n from -reach to reach.

    Every point is reached from the middle, so that rounding does not add up; the parameters are restored bit for bit.

    Args:
        loss: reads the parameters.
        parameters: p.
        directions: n1 and n2.
        reach: largest m and n; the paper has 100, with raw normal directions.
        points: along each direction; the paper has 20.

    Raises:
        ValueError: reach is not positive, or there are fewer than two points.
    """
    if not 0 < reach < float("inf") or points < 2:
        raise ValueError(f"reach must be positive and points at least 2, but are {reach} and {points}")
    steps = np.linspace(-reach, reach, points)
    losses = np.full((points, points), np.nan)
    with moving(parameters) as center, torch.no_grad():
        for row, m in enumerate(steps):
            for column, n in enumerate(steps):
                for one, middle, along, across in zip(parameters, center, *directions, strict=True):
                    one.copy_(middle).add_(along, alpha=float(m)).add_(across, alpha=float(n))
                value = float(loss())
                losses[row, column] = value if np.isfinite(value) else np.nan
    return Surface(steps, steps, losses)


@contextmanager
def moving(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Copies of parameters that may be moved in the block; they are restored after it, also when it raises."""
    kept = [one.detach().clone() for one in parameters]
    try:
        yield kept
    finally:
        with torch.no_grad():
            for one, before in zip(parameters, kept, strict=True):
                one.copy_(before)


def _like_rows(direction: Float[Tensor, "..."], like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    if like.ndim < 2:
        return torch.zeros_like(like)
    rows = direction.flatten(1)
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    wanted = torch.linalg.vector_norm(like.flatten(1), dim=1, keepdim=True)
    scaled: Tensor = rows * wanted / lengths.where(lengths > 0, torch.ones_like(lengths))
    return scaled.view_as(direction)
