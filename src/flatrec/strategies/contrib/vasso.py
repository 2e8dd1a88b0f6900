"""VaSSO: ascent along a running mean of gradients, which tames the noise of the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flatrec.ops.param_vector import Vector, lerp_into
from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy, euclidean_perturbation
from flatrec.strategies.state import buffer, buffer_like, state_vector, zeros_like_if_empty
from flatrec.utils.checked_settings import Probability


@dataclass(kw_only=True, eq=False)
class VaSSO(SAMStrategy):
    """Variance-suppressed sharpness-aware optimization (Li & Giannakis, NeurIPS 2023, https://arxiv.org/abs/2309.15639).

    d <- (1 - theta) d + theta g, starting at 0; eps = rho d / ||d||_2; then a base step with the gradient of the
    batch at Theta + eps. theta = 1 is SAM.

    Args:
        theta: weight of the batch's gradient in the running mean d.

    Example:
        >>> VaSSO(rho=0.1, theta=0.4).theta
        0.4

    Raises:
        ValueError: a setting is out of range.
    """

    SEPARABLE: ClassVar[bool] = True
    theta: Probability = 0.4
    mean: Vector = state_vector()
    _next: Vector = buffer()  # the mean after this step, which may still fail

    def perturbation(self, point: Point) -> Perturbation:
        """Along the running mean, which is updated first."""
        before, self._next = zeros_like_if_empty(self.mean, point.grad), buffer_like(self._next, point.grad)
        lerp_into(before, point.grad, self.theta, into=self._next)
        self.mean, self._next = self._next, before
        return euclidean_perturbation(self.mean)
