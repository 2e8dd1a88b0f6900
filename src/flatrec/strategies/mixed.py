"""The "+": a strategy's gradient mixed with the plain gradient of a second batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from flatrec.strategies.base import FirstPass, SingleBatchStrategy, Strategy
from flatrec.strategies.context import BatchT, StepContext
from flatrec.strategies.second_gradient import first_and_second
from flatrec.utils.ranges import Fraction


@dataclass(kw_only=True, eq=False)
class Mixed(Strategy):
    """Mixed loss (eq. 13 of the BSAM paper, https://doi.org/10.1109/TKDE.2025.3604242), around any strategy.

    The base optimizer gets kappa * g(B1) + (1 - kappa) * grad L_B2(Theta), g(B1) the inner strategy's gradient:
    around BSAM it is BSAM+, around SAM SAM+, and around Plain the control that sees the same two batches without
    any perturbation. Both gradients at Theta come from one shared ``encode``. Where the second batch comes from is a
    setting of training, ``training.second_batch``.

    Args:
        inner: the strategy to mix.
        kappa: weight of the gradient of the strategy without ``+``; 1 is that strategy, 0 plain training on the second
            batch.

    Example:
        >>> from flatrec.strategies.plain import Plain
        >>> Mixed(Plain(), kappa=0.5)
        Mixed(inner=Plain(), kappa=0.5)

    Raises:
        ValueError: kappa is out of range.
    """

    SEPARABLE: ClassVar[bool] = True
    SEARCH_SPACE = {"kappa": (0.2, 0.4, 0.6, 0.8)}
    batches_per_step: ClassVar[int] = 2

    inner: SingleBatchStrategy = field(kw_only=False)
    kappa: Fraction = 0.6

    @property
    def gradients_per_step(self) -> float:
        """The gradients of the inner strategy, and that of the second batch."""
        return self.inner.gradients_per_step + 1

    def take_step(self, context: StepContext[BatchT], *batches: BatchT) -> Tensor:
        """Mix the inner strategy's gradient and that of the second batch; reports the loss of the first batch."""
        first, second = batches
        both = first_and_second(context, first, second, self.kappa)
        context.update(self.inner.mixed_gradient(FirstPass(context, first, both.gradient), both.second))
        return both.loss

    def take_diagnostics(self) -> dict[str, float]:
        """The diagnostics of the inner strategy."""
        return self.inner.take_diagnostics()
