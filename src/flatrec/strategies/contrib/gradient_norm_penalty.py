"""GNP: the loss plus a penalty on the norm of its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flatrec.ops.param_vector import Vector, blend
from flatrec.strategies.base import Gradients
from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy, euclidean_perturbation
from flatrec.utils.ranges import Fraction


@dataclass(kw_only=True, eq=False)
class GradientNormPenalty(SAMStrategy):
    """Penalizing the gradient norm (Zhao et al., ICML 2022, https://arxiv.org/abs/2202.03599).

    eps as in SAM; the base optimizer gets (1 - alpha) times the gradient at Theta plus alpha times that at Theta + eps,
    which is the gradient of L + rho alpha ||grad L|| to first order. alpha = 1 is SAM, 0 plain training.

    Args:
        alpha: weight of the perturbed gradient.

    Example:
        >>> GradientNormPenalty(rho=0.05, alpha=0.7).alpha
        0.7

    Raises:
        ValueError: a setting is out of range.
    """

    SEPARABLE: ClassVar[bool] = True
    alpha: Fraction = 0.7

    def perturbation(self, point: Point) -> Perturbation:
        """Along the gradient."""
        return euclidean_perturbation(point.grad)

    def combine(self, gradients: Gradients) -> Vector:
        """The weighted mean of both gradients."""
        return blend(gradients.perturbed_grad, gradients.grad, self.alpha)
