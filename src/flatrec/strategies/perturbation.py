"""What all relatives of SAM have in common: a perturbation of a certain radius along a direction of their own."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector, cosine, norm, plus_scaled_into
from flatrec.ops.row_norms import nonzero_rows, row_directions, row_norms
from flatrec.ops.scalars import Scalar, known_zero, quotient
from flatrec.strategies.base import Shift, TwoPass, shift_by
from flatrec.strategies.context import StepContext
from flatrec.strategies.diagnostics import Diagnostics
from flatrec.strategies.state import state_count
from flatrec.utils import seeding
from flatrec.utils.devices import moved
from flatrec.utils.ranges import NonNegativeFloat


class Point(NamedTuple):
    """The current point of training, restricted to the perturbed parameters.

    Args:
        params: the values of the parameters.
        grad: the gradient of the batch.
    """

    params: Vector
    grad: Vector


class Perturbation(NamedTuple):
    """A direction in which a strategy looks for a higher loss.

    Args:
        direction: one tensor per perturbed parameter, of any length.
        length: the length of the direction in the strategy's own metric, a scalar.
        norm: the Euclidean length of the direction, a scalar.
        cosine: the cosine of its angle to the gradient, a scalar, if it is known already.
        by_rows: whether each row has a length that means something of its own, which a random control keeps.
    """

    direction: Vector
    length: Tensor
    norm: Tensor
    cosine: Tensor | None = None
    by_rows: bool = False


def euclidean_perturbation(direction: Vector) -> Perturbation:
    """Return the perturbation along a direction, measured by the Euclidean length."""
    length = norm(direction)
    return Perturbation(direction, length, length)


def subtract_scaled_mean(grad: Vector, mean: Vector, scale: Scalar, *, length: Tensor, into: Vector) -> Perturbation:
    """Return the perturbation along ``grad - scale * mean``, in memory ``into``; ``length`` is that of ``grad``."""
    own, product = plus_scaled_into(into, grad, mean, -scale)
    return Perturbation(into, own, own, quotient(product, own * length))


@dataclass(kw_only=True, eq=False)
class SAMStrategy(TwoPass):
    """A strategy whose second gradient is taken at a perturbed point, where the loss is likely to be higher.

    The point is Theta + r * v / |v|, v the strategy's direction and |v| its length in the strategy's metric; all
    perturbed parameters, which are all trainable ones unless ``training.perturb_exclude`` says otherwise, count as one
    vector. v = 0 gives the current parameters. The radius r is

    - ``rho`` (``rho_scale="absolute"``) or rho * ||Theta|| (``"relative"``),
    - times 1 (``rho_schedule="constant"``) or 1 / t at the t-th step (``"inverse"``, as in the theorems),
    - times epochs / ``rho_warmup`` while fewer epochs than that have passed (0 for no warm-up).

    With ``rho_scale="row"`` there is a radius for each row: the row theta_r of a parameter moves by
    rho * ||theta_r|| * v_r / ||v_r||, in the Euclidean norm whatever the strategy's metric is, and rho is subject to
    schedule and warm-up as before. A row is what the first dimension counts, such as one user or item of a table of
    embeddings; a parameter with fewer than two dimensions is one row. Rows with v_r = 0, such as those that no loss of
    the batch reaches, and rows of zeros do not move.

    ``control="random"`` moves by as much, globally or row by row, along a Gaussian direction in place of v: it shows
    what the direction is worth. Under ``"row"``, and for strategies with a radius for each row, the same rows move. The
    draws depend on the seed and the step alone.

    Before ``start_epoch`` a step takes one gradient and is plain. The strategy follows training all the same: its
    running mean, if it has one, is up to date at the start, and t counts every step; the warm-up begins at
    ``start_epoch``.

    Args:
        rho_schedule: how the radius changes over steps.
        rho_scale: whether the radius is absolute, relative to the norm of the parameters, or relative to the norm of
            each row.
        rho_warmup: epochs over which the radius grows linearly from 0; 0 for no warm-up.
        control: whether the perturbation has the strategy's direction or, for comparison, a random one.
        start_epoch: epochs of plain training, at one gradient a step, before the first perturbation.

    Raises:
        TypeError: a setting is not a number where one is expected.
        ValueError: a setting is out of range.
    """

    draws_random_numbers: ClassVar[bool] = True  # for the control

    rho_schedule: Literal["constant", "inverse"] = "constant"
    rho_scale: Literal["absolute", "relative", "row"] = "absolute"
    rho_warmup: NonNegativeFloat = 0.0
    control: Literal["none", "random"] = "none"
    start_epoch: NonNegativeFloat = 0.0
    steps: int = state_count()
    diagnostics: Diagnostics = field(default_factory=Diagnostics, init=False, repr=False)

    @abstractmethod
    def perturbation(self, point: Point) -> Perturbation:
        """Return the direction in which to look for a higher loss. Called at every step."""

    def choose_point(self, context: StepContext[Any], gradient: Vector) -> Shift | Vector:
        """The perturbed point, or the gradient itself if this step has no perturbation."""
        params = [parameter.detach() for parameter in context.perturbed_params]
        grad = context.select_perturbed(gradient)
        perturbation = self.perturbation(Point(params, grad))
        self.steps += 1
        radius = self._radius(context.progress, params)
        if known_zero(radius) or self.steps % self.interval != 0:
            return gradient
        if isinstance(gradient, list) and grad is not gradient:  # one by embeddings and parameters has no such unit
            self.diagnostics.add("perturbed fraction of |g1|", norm(grad) / norm(gradient))
        if self.rho_scale == "row":
            perturbation = self._by_rows(perturbation, params)
        elif self.control == "random":
            perturbation = self._random(perturbation)
        self.diagnostics.add("cos(eps, g1)", _cosine(perturbation, grad))
        if known_zero(perturbation.length):
            return gradient
        return shift_by(perturbation.direction, radius, perturbation.length)

    @property
    def gradients_per_step(self) -> float:
        """One gradient, and a second one at one of ``interval`` steps from ``start_epoch`` on."""
        return super().gradients_per_step

    def take_diagnostics(self) -> dict[str, float]:
        """Mean cos(eps, g1), and whatever else the strategy measures."""
        return self.diagnostics.take()

    def _radius(self, progress: float, params: Vector) -> Scalar:
        if progress < self.start_epoch:
            return 0.0
        radius = self.rho / self.steps if self.rho_schedule == "inverse" else self.rho
        if progress - self.start_epoch < self.rho_warmup:
            radius *= (progress - self.start_epoch) / self.rho_warmup
        if radius == 0 or self.rho_scale != "relative":
            return radius
        return radius * norm(params)

    def _by_rows(self, perturbation: Perturbation, params: Vector) -> Perturbation:
        """The perturbation whose rows are as long as those of the parameters."""
        direction: Vector = perturbation.direction
        if self.control == "random":
            direction = nonzero_rows(self._draw(direction), direction)
        direction = row_directions(direction, row_norms(params))
        length = norm(direction)
        return Perturbation(direction, (length > 0).to(length), length)

    def _random(self, perturbation: Perturbation) -> Perturbation:
        """A random perturbation whose Euclidean length is that of another one, or the length of each row."""
        direction: Vector = self._draw(perturbation.direction)
        if perturbation.by_rows:
            drawn = nonzero_rows(direction, perturbation.direction)
            direction = row_directions(drawn, row_norms(perturbation.direction))
        length = norm(direction)
        return Perturbation(direction, length * quotient(perturbation.length, perturbation.norm), length)

    def _draw(self, like: Vector) -> list[Tensor]:
        stream = seeding.generator(self.seed, "random direction", self.steps)
        drawn = (torch.randn(tensor.shape, generator=stream, dtype=tensor.dtype) for tensor in like)
        return [moved(one, tensor.device) for one, tensor in zip(drawn, like, strict=True)]


def _cosine(perturbation: Perturbation, grad: Vector) -> Tensor:
    """Return the cosine of perturbation and gradient, without a pass over memory if one is the other."""
    if perturbation.direction is grad:
        return (perturbation.norm > 0).to(perturbation.norm)
    known = perturbation.cosine
    return cosine(perturbation.direction, grad, perturbation.norm) if known is None else known
