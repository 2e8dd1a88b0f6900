"""F-SAM, Friendly SAM: ascent along the noise of the batch, without the gradient of all data."""

from __future__ import annotations

from dataclasses import dataclass

from flatrec.ops.param_vector import Vector, lerp_into, norm
from flatrec.strategies.base import Perturbation, SAMStrategy, subtract_scaled_mean
from flatrec.strategies.state import buffer, remembered_vector, room, zeros_like_if_empty


@dataclass(kw_only=True, eq=False)
class FriendlySAM(SAMStrategy):
    """Friendly SAM (Li et al., CVPR 2024, https://arxiv.org/abs/2403.12350); not Fisher SAM.

    m <- lambda m + (1 - lambda) g, starting at 0, of raw gradients; eps = rho v / ||v||_2 with v = g - sigma m; then a
    base step with the gradient at Theta + eps. sigma = 0 is SAM; BSAM with a constant distance is this strategy.

    Deviations: m holds the current batch when it is taken off, as in the paper's algorithm. The release takes off the
    mean of the batches before, and begins with the first gradient as the mean, from which nothing is taken off.

    Args:
        sigma: how much of the mean is taken off.
        lam: lambda, the weight of the past in m, in [0, 1).

    Example:
        >>> FriendlySAM(rho=0.1, sigma=1.0, lam=0.6).lam
        0.6

    Raises:
        ValueError: a setting is out of range.
    """

    sigma: float = 1.0
    SEARCH_SPACE = {**SAMStrategy.SEARCH_SPACE, "lam": (0.2, 0.4, 0.6, 0.8)}

    lam: float = 0.9
    mean: Vector = remembered_vector()
    _direction: Vector = buffer()
    _next: Vector = buffer()  # the mean after this step, which may yet be given up

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.lam < 1:
            raise ValueError(f"lam must lie in [0, 1), but is {self.lam}")

    def perturbation(self, values: Vector, gradient: Vector) -> Perturbation:  # noqa: ARG002
        """Along the gradient less sigma times its running mean, which is brought up to date first."""
        before, self._next = zeros_like_if_empty(self.mean, gradient), room(self._next, gradient)
        lerp_into(before, gradient, 1 - self.lam, into=self._next)
        self.mean, self._next = self._next, before
        self._direction = room(self._direction, gradient)
        return subtract_scaled_mean(gradient, self.mean, self.sigma, length=norm(gradient), into=self._direction)

    def combine(self, here: Vector, there: Vector) -> Vector:  # noqa: ARG002
        """The gradient there."""
        return there
