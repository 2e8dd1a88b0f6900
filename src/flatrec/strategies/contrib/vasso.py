"""VaSSO: ascent along a running mean of gradients, which tames the noise of the batch."""

from __future__ import annotations

from dataclasses import dataclass

from flatrec.ops.param_vector import Vector, lerp_into
from flatrec.strategies.base import Perturbation, SAMStrategy, euclidean_perturbation
from flatrec.strategies.state import buffer, remembered_vector, room, zeros_like_if_empty


@dataclass(kw_only=True, eq=False)
class VaSSO(SAMStrategy):
    """Variance-suppressed sharpness-aware optimization (Li & Giannakis, NeurIPS 2023, https://arxiv.org/abs/2309.15639).

    d <- (1 - theta) d + theta g, starting at 0; eps = rho d / ||d||_2; then a base step with the gradient of the
    batch at Theta + eps. theta = 1 is SAM.

    Args:
        theta: weight of the batch in d, in (0, 1].

    Example:
        >>> VaSSO(rho=0.1, theta=0.4).theta
        0.4

    Raises:
        ValueError: a setting is out of range.
    """

    theta: float = 0.4
    mean: Vector = remembered_vector()
    _next: Vector = buffer()  # the mean after this step, which may yet be given up

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.theta <= 1:
            raise ValueError(f"theta must lie in (0, 1], but is {self.theta}")

    def perturbation(self, values: Vector, gradient: Vector) -> Perturbation:  # noqa: ARG002
        """Along the running mean, which is brought up to date first."""
        before, self._next = zeros_like_if_empty(self.mean, gradient), room(self._next, gradient)
        lerp_into(before, gradient, self.theta, into=self._next)
        self.mean, self._next = self._next, before
        return euclidean_perturbation(self.mean)

    def combine(self, here: Vector, there: Vector) -> Vector:  # noqa: ARG002
        """The gradient there."""
        return there
