"""BSAM: ascent on the batch, held back along the mean gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from torch import Tensor

from flatrec.ops.param_vector import PairStats, Vector, ema_update
from flatrec.strategies.base import Perturbation, SAMStrategy, subtract_scaled_mean
from flatrec.strategies.state import buffer, remembered_vector, room, zeros_like_if_empty

Measured: TypeAlias = Literal["manhattan", "manhattan-mean", "euclidean", "cosine"]
Distance: TypeAlias = Measured | float
DISTANCES: tuple[str, ...] = get_args(Measured)


@dataclass(kw_only=True, eq=False)
class BSAM(SAMStrategy):
    """Batch-focused SAM (Xu et al., TKDE 2025, https://doi.org/10.1109/TKDE.2025.3604242); not Bayesian SAM.

    m <- (1 - lambda) g + lambda m, starting at 0, no bias correction, the current batch included (eq. 10);
    v = g - d(g, m) m; eps = rho v / ||v||_2 (eq. 11); then a base step with the gradient of the batch at
    Theta + eps. Wrapped in :class:`flatrec.strategies.mixed.Mixed` it is BSAM+.

    d takes the two gradients, as in eq. 9 and 11 (eq. 12 and Algorithm 1 print losses), and is one number for all
    parameters:

    - ``"manhattan"``: sum of |g - m|, the literal reading and the default. It is not scale-free: in a large model
      it is far above 1 and eps turns toward -m; the trace shows which regime a run is in;
    - ``"manhattan-mean"``: the same divided by the number of parameters, close to SAM;
    - ``"euclidean"``: ||g - m||_2;
    - ``"cosine"``: the cosine of g and m;
    - a number: a constant, as in F-SAM.

    The "similarity constant c" that Algorithm 1 lists and never uses is left out.

    Args:
        lam: lambda, the weight of the past in m, in [0, 1).
        distance: d.

    Example:
        >>> from flatrec.strategies.mixed import Mixed
        >>> Mixed(BSAM(rho=0.1, distance="cosine"), kappa=0.6).batches_per_step
        2

    Raises:
        ValueError: a setting is out of range.
    """

    SEARCH_SPACE = {**SAMStrategy.SEARCH_SPACE, "lam": (0.2, 0.4, 0.6, 0.8)}

    lam: float = 0.6
    distance: Distance = "manhattan"
    mean: Vector = remembered_vector()
    _direction: Vector = buffer()
    _next: Vector = buffer()  # the mean after this step, which may yet be given up

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.lam < 1:
            raise ValueError(f"lam must lie in [0, 1), but is {self.lam}")
        if isinstance(self.distance, str) and self.distance not in DISTANCES:
            raise ValueError(f"distance must be a number or one of {', '.join(DISTANCES)}, but is {self.distance!r}")

    def perturbation(self, values: Vector, gradient: Vector) -> Perturbation:  # noqa: ARG002
        """Along the gradient less d times its running mean, which is brought up to date first."""
        before, self._next = zeros_like_if_empty(self.mean, gradient), room(self._next, gradient)
        standing = ema_update(before, gradient, 1 - self.lam, into=self._next)
        self.mean, self._next = self._next, before
        distance = self._distance(standing, sum(part.numel() for part in gradient))
        self.trace.add("distance", distance)
        self.trace.add("cos(g1, m)", standing.cosine)
        self._direction = room(self._direction, gradient)
        length = standing.other_square.sqrt()
        return subtract_scaled_mean(gradient, self.mean, float(distance), length=length, into=self._direction)

    def combine(self, here: Vector, there: Vector) -> Vector:  # noqa: ARG002
        """The gradient there."""
        return there

    def _distance(self, standing: PairStats, parameters: int) -> Tensor:
        match self.distance:
            case "manhattan":
                return standing.manhattan
            case "manhattan-mean":
                return standing.manhattan / parameters
            case "euclidean":
                return standing.euclidean_square.sqrt()
            case "cosine":
                return standing.cosine
        return standing.dot.new_tensor(self.distance)
