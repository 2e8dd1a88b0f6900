"""BSAM: ascent along the gradient of the batch less a multiple of its running mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

from torch import Tensor

from flatrec.ops.param_vector import PairStats, Vector, ema_update, n_entries
from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy, subtract_scaled_mean
from flatrec.strategies.state import buffer, buffer_like, state_vector, zeros_like_if_empty
from flatrec.utils.checked_settings import Decay, FiniteFloat

Measure: TypeAlias = Literal["manhattan", "manhattan-mean", "euclidean", "cosine"]
Distance: TypeAlias = Measure | FiniteFloat
DISTANCES: tuple[str, ...] = get_args(Measure)


@dataclass(kw_only=True, eq=False)
class BSAM(SAMStrategy):
    """Batch-focused SAM (Xu et al., TKDE 2025, https://doi.org/10.1109/TKDE.2025.3604242); not Bayesian SAM.

    m <- (1 - lambda) g + lambda m, starting at 0, no bias correction, the current batch included (eq. 10);
    v = g - d(g, m) m; eps = rho v / ||v||_2 (eq. 11); then a base step with the gradient of the batch at
    Theta + eps. Wrapped in :class:`flatrec.strategies.mixed.Mixed` it is BSAM+.

    d takes the two gradients, as in eq. 9 and 11 (eq. 12 and Algorithm 1 print losses), and is one number for all
    parameters:

    - ``"manhattan"``: sum of |g - m|, the literal reading and the default. It is not scale-free: in a large model
      it is far above 1 and eps turns toward -m; the diagnostics show which regime a run is in;
    - ``"manhattan-mean"``: the same divided by the number of parameters, close to SAM;
    - ``"euclidean"``: ||g - m||_2;
    - ``"cosine"``: the cosine of g and m;
    - a number: a constant, as in F-SAM (Friendly SAM).

    The "similarity constant c" that Algorithm 1 lists and never uses is left out.

    Args:
        lam: lambda, the weight of the past in the running mean m.
        distance: d, the factor of the mean that is subtracted: a measure of g and m, or a number.

    Example:
        >>> from flatrec.strategies.mixed import Mixed
        >>> Mixed(BSAM(rho=0.1, distance="cosine"), kappa=0.6).batches_per_step
        2

    Raises:
        ValueError: a setting is out of range.
    """

    SEPARABLE: ClassVar[bool] = True
    SEARCH_SPACE = {**SAMStrategy.SEARCH_SPACE, "lam": (0.2, 0.4, 0.6, 0.8)}

    lam: Decay = 0.6
    distance: Distance = "manhattan"
    mean: Vector = state_vector()
    _direction: Vector = buffer()
    _next: Vector = buffer()  # the mean after this step, which may still fail

    def perturbation(self, point: Point) -> Perturbation:
        """Along the gradient less d times its running mean, which is updated first."""
        grad = point.grad
        before, self._next = zeros_like_if_empty(self.mean, grad), buffer_like(self._next, grad)
        stats = ema_update(before, grad, 1 - self.lam, into=self._next)
        self.mean, self._next = self._next, before
        distance = self._distance(stats, grad)
        self.diagnostics.add("distance", distance)
        self.diagnostics.add("cos(g1, m)", stats.cosine)
        self._direction = buffer_like(self._direction, grad)
        length = stats.other_square.sqrt()
        return subtract_scaled_mean(grad, self.mean, distance, length=length, into=self._direction)

    def _distance(self, stats: PairStats, grad: Vector) -> Tensor:
        match self.distance:
            case "manhattan":
                return stats.manhattan
            case "manhattan-mean":
                return stats.manhattan / n_entries(grad)
            case "euclidean":
                return stats.euclidean_square.sqrt()
            case "cosine":
                return stats.cosine
        return stats.dot.new_tensor(self.distance)
