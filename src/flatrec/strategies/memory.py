"""What strategies remember between steps, as named tensors for a checkpoint and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from flatrec.strategies.vectors import Vector


def packed(steps: int, **vectors: Vector) -> dict[str, Tensor]:
    """A step count and vectors by name, e.g. ``steps``, ``mean.0``, ``mean.1``."""
    parts = {f"{name}.{number}": part for name, vector in vectors.items() for number, part in enumerate(vector)}
    return {"steps": torch.tensor(steps), **parts}


def grown(memory: Vector, like: Vector) -> list[Tensor]:
    """The remembered vector, with zeros for parameters that came later; at first all are zeros.

    Raises:
        ValueError: it was remembered for other parameters.
    """
    grown = [*memory, *(torch.zeros_like(part, memory_format=torch.contiguous_format) for part in like[len(memory) :])]
    if [one.shape for one in grown] != [one.shape for one in like]:
        raise ValueError(
            "what the strategy remembers belongs to other parameters; parameters may be added at the end between two "
            "steps, but not taken away, and what is perturbed must not change"
        )
    return grown


def unpacked(state: Mapping[str, Tensor], name: str) -> list[Tensor]:
    """The vector of that name; empty where there is none."""
    return [state[f"{name}.{number}"] for number in range(sum(key.startswith(f"{name}.") for key in state))]
