"""Plain training: the base optimizer gets the gradient of the batch."""

from __future__ import annotations

from dataclasses import dataclass

from flatrec.ops.param_vector import Vector
from flatrec.strategies.base import SingleBatchStrategy
from flatrec.strategies.context import BatchT, StepContext


@dataclass(kw_only=True, eq=False)
class Plain(SingleBatchStrategy):
    """Theta <- Theta - gamma grad L_B(Theta) under SGD (eq. 2 of the BSAM paper)."""

    def transform_gradient(self, learner: StepContext[BatchT], batch: BatchT, gradient: Vector) -> Vector:  # noqa: ARG002
        """The gradient as it is."""
        return gradient

    @property
    def gradients_per_step(self) -> float:
        """One."""
        return 1.0

    def take_diagnostics(self) -> dict[str, float]:
        """Nothing is watched."""
        return {}
