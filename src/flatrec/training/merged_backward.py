"""The backward pass through ``encode`` that two gradients of a step share, where ``encode`` is linear."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.models.base import Model
from flatrec.ops.gathers import GatheredGradients, GradientOf
from flatrec.ops.param_vector import Vector, lerp_
from flatrec.ops.row_vector import RowVector, add_part_, weighted_sum
from flatrec.strategies.second_gradient import FirstAndSecond
from flatrec.training.leaves import Leaves, leaves_of

if TYPE_CHECKING:
    from flatrec.training.step_context import TrainStepContext


def encodes_linearly(model: Model) -> bool:
    """Return whether a model says that its ``encode`` is linear in all trained parameters together."""
    patterns: Iterable[str] = vars(type(model)).get("LINEAR", ())
    trained = (name for name, parameter in model.named_parameters() if parameter.requires_grad)
    return all(any(fnmatchcase(name, pattern) for pattern in patterns) for name in trained)


def first_and_linear_second(
    context: TrainStepContext, first: Batch, second: Batch, kappa: float
) -> FirstAndSecond[Batch]:
    """Return what a step knows of its two batches, for a model that encodes linearly.

    Raises:
        NonFiniteGradientError: a loss or gradient is NaN or infinite.
    """
    leaves = leaves_of(context.encode())
    one, other = (_gradient_of(context, leaves, batch) for batch in (first, second))
    gradient = _pulled_back(context, leaves, [(1.0, one.gradient)], again=True)
    context.checks.require([one.loss, other.loss], [gradient, other.gradient])
    return FirstAndSecond(one.loss, gradient, _EncodedGradient(context, leaves, other.gradient, kappa))


@dataclass(frozen=True, eq=False)
class _EncodedGradient:
    """The gradient of a second batch by what ``encode`` returned and directly by the parameters.

    If ``encode`` is linear, its Jacobian J is the same at the perturbed parameters. With g the gradient of the second
    batch by the encoded tensors, at Theta, and h that of the first batch at the perturbed parameters,
    J' (kappa h + (1 - kappa) g) is one backward pass where J' h and J' g are two.

    Args:
        context: what is trained.
        leaves: what ``encode`` returned at the parameters of the step.
        gradient: the gradient of the second batch, first by the encoded tensors, then by the parameters.
        kappa: weight of the other gradient in the mixture.
    """

    context: TrainStepContext
    leaves: Leaves
    gradient: RowVector
    kappa: float

    def mixed_with(self, gradient: Vector) -> Vector:
        """The mixture with a gradient, once."""
        mixed = _pulled_back(self.context, self.leaves, [(1.0, self.gradient)])
        lerp_(mixed, gradient, self.kappa)
        return mixed

    def mixed_here(self, batch: Batch) -> Vector:
        """The mixture with the gradient of a batch at the parameters as they are now, once.

        Raises:
            NonFiniteGradientError: the loss of that batch or the mixture is NaN or infinite.
        """
        leaves = leaves_of(self.context.encode())
        here = _gradient_of(self.context, leaves, batch)
        mixed = _pulled_back(self.context, leaves, [(self.kappa, here.gradient), (1 - self.kappa, self.gradient)])
        self.context.checks.require([here.loss], [mixed])
        return mixed


def _gradient_of(context: TrainStepContext, leaves: Leaves, batch: Batch) -> GradientOf:
    """The loss of a batch, and its gradient by the encoded tensors and directly by the parameters."""
    gradients = GatheredGradients([*leaves.values, *context.params])
    with context.autocast():
        return gradients.of(partial(context.objective.loss, leaves.encoded, batch))


def _pulled_back(
    context: TrainStepContext, leaves: Leaves, terms: Sequence[tuple[float, RowVector]], *, again: bool = False
) -> list[Tensor]:
    """Return the gradient by the parameters of weighted losses, given their gradients by leaves and parameters.

    Args:
        context: what is trained.
        leaves: whose graph the gradients go back through.
        terms: weights and gradients.
        again: whether the graph is gone through once more later.
    """
    count = len(leaves.outputs)
    slopes = [weighted_sum([(weight, gradient.parts[number]) for weight, gradient in terms]) for number in range(count)]
    total = list(
        torch.autograd.grad(leaves.outputs, context.params, slopes, retain_graph=again, materialize_grads=True)
    )
    for weight, gradient in terms:
        for own, direct in zip(total, gradient.parts[count:], strict=True):
            add_part_(own, direct, weight)
    return total
