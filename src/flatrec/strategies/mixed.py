"""The "+": a strategy's gradient mixed with the plain gradient of a second batch."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from flatrec.data.pairing import Pairing
from flatrec.ops.param_vector import lerp_
from flatrec.strategies.base import SingleBatchStrategy, Strategy
from flatrec.strategies.context import BatchT, StepContext


class Mixed(Strategy):
    """Mixed loss (eq. 13 of the BSAM paper, https://doi.org/10.1109/TKDE.2025.3604242), around any strategy.

    The base optimizer gets kappa * g(B1) + (1 - kappa) * grad L_B2(Theta), g(B1) the inner strategy's gradient:
    around BSAM it is BSAM+, around SAM SAM+, and around Plain the control that sees the same two batches without
    any perturbation. Both gradients at Theta come from one shared ``encode``.

    Args:
        inner: the strategy to mix.
        kappa: weight of its gradient, in [0, 1]; 1 is the inner strategy, 0 plain training on B2.
        pairing: ``passes`` draws B2 from a second, independently shuffled pass, so an epoch makes as many updates
            as a plain one and reads every pair twice; ``halves`` takes successive batches of one pass, half as
            many updates.

    Example:
        >>> from flatrec.strategies.plain import Plain
        >>> Mixed(Plain(), pairing="halves").pairing
        'halves'

    Raises:
        ValueError: kappa is out of range.
    """

    SEARCH_SPACE = {"kappa": (0.2, 0.4, 0.6, 0.8)}
    batches_per_step: ClassVar[int] = 2

    def __init__(self, inner: SingleBatchStrategy, *, kappa: float = 0.6, pairing: Pairing = "passes") -> None:
        if not 0 <= kappa <= 1:
            raise ValueError(f"kappa must lie in [0, 1], but is {kappa}")
        self.inner = inner
        self.kappa = kappa
        self._pairing = pairing

    @property
    def gradients_per_step(self) -> float:
        """The inner strategy's, and that of the second batch."""
        return self.inner.gradients_per_step + 1

    @property
    def pairing(self) -> Pairing:
        """Where the second batch comes from."""
        return self._pairing

    def take_step(self, learner: StepContext[BatchT], *batches: BatchT) -> Tensor:
        """Two gradients here, the inner strategy's from the first, one update; reports the first batch's loss."""
        first, second = batches
        (loss, _), (here, other) = learner.gradients(first, second)
        transform_gradient = self.inner.transform_gradient(learner, first, here)
        lerp_(other, transform_gradient, self.kappa)
        learner.update(other)
        return loss

    def take_diagnostics(self) -> dict[str, float]:
        """The inner strategy's."""
        return self.inner.take_diagnostics()
