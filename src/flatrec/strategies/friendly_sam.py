"""Friendly SAM: ascent along the noise of the batch, without the gradient of all data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flatrec.ops.param_vector import Vector, lerp_into, norm
from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy, subtract_scaled_mean
from flatrec.strategies.state import buffer, buffer_like, state_vector, zeros_like_if_empty
from flatrec.utils.checked_settings import Decay, FiniteFloat


@dataclass(kw_only=True, eq=False)
class FriendlySAM(SAMStrategy):
    """Friendly SAM (Li et al., CVPR 2024, https://arxiv.org/abs/2403.12350); not Fisher SAM.

    m <- lambda m + (1 - lambda) g, starting at 0, of raw gradients; eps = rho v / ||v||_2 with v = g - sigma m; then a
    base step with the gradient at Theta + eps. sigma = 0 is SAM; BSAM with a constant distance is this strategy.

    Deviations: m holds the current batch when it is subtracted, as in the paper's algorithm. The release subtracts the
    mean of the batches before, and begins with the first gradient as the mean, from which nothing is subtracted.

    Args:
        sigma: factor of the mean that is subtracted.
        lam: lambda, the weight of the past in the running mean m.

    Example:
        >>> FriendlySAM(rho=0.1, sigma=1.0, lam=0.6).lam
        0.6

    Raises:
        ValueError: a setting is out of range.
    """

    SEPARABLE: ClassVar[bool] = True
    SEARCH_SPACE = {**SAMStrategy.SEARCH_SPACE, "lam": (0.2, 0.4, 0.6, 0.8)}

    sigma: FiniteFloat = 1.0
    lam: Decay = 0.9
    mean: Vector = state_vector()
    _direction: Vector = buffer()
    _next: Vector = buffer()  # the mean after this step, which may still fail

    def perturbation(self, point: Point) -> Perturbation:
        """Along the gradient less sigma times its running mean, which is updated first."""
        grad = point.grad
        before, self._next = zeros_like_if_empty(self.mean, grad), buffer_like(self._next, grad)
        lerp_into(before, grad, 1 - self.lam, into=self._next)
        self.mean, self._next = self._next, before
        self._direction = buffer_like(self._direction, grad)
        return subtract_scaled_mean(grad, self.mean, self.sigma, length=norm(grad), into=self._direction)
