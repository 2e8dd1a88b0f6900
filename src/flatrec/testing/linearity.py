"""The check that ``encode`` is linear where a model says so."""

from __future__ import annotations

import torch

from flatrec.models.base import Model
from flatrec.testing.messages import require
from flatrec.testing.runs import encoded, random_state, trainable
from flatrec.training.merged_backward import encodes_linearly
from flatrec.utils import seeding


def check_linear_encode(model: Model) -> None:
    """With ``LINEAR``, what is encoded half-way between two points is the mean of what is encoded at both.

    Raises:
        AssertionError: it is not.
    """
    if not encodes_linearly(model):
        return
    model.train()
    stream = seeding.generator(0, "linearity")
    steps = {name: torch.rand(one.shape, generator=stream, dtype=one.dtype) for name, one in trainable(model).items()}
    points = [_outputs(model, steps, factor) for factor in (0.0, 1.0, 2.0)]
    for start, half, end in zip(*points, strict=True):
        near = torch.allclose(half, (start + end) / 2, rtol=1e-3, atol=1e-4 * float(half.abs().max()))
        require(near, "LINEAR names all trained parameters, but encode is not linear in them; leave LINEAR out")


def _outputs(model: Model, steps: dict[str, torch.Tensor], factor: float) -> list[torch.Tensor]:
    """What is encoded at a point, under one random state."""
    parameters = trainable(model)
    before = {name: one.detach().clone() for name, one in parameters.items()}
    try:
        with torch.no_grad(), random_state(0):
            for name, one in parameters.items():
                one.add_(steps[name].to(one.device), alpha=factor)
            found = encoded(model)
            return [found.node_embeddings.clone(), *(one.clone() for one in found.aux.values())]
    finally:
        with torch.no_grad():
            for name, one in parameters.items():
                one.copy_(before[name])
