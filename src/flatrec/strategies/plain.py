"""Plain training: the base optimizer gets the gradient of the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flatrec.ops.param_vector import Vector
from flatrec.strategies.base import FirstPass, SingleBatchStrategy
from flatrec.strategies.context import BatchT


@dataclass(kw_only=True, eq=False)
class Plain(SingleBatchStrategy):
    """Theta <- Theta - gamma grad L_B(Theta) under SGD (eq. 2 of the BSAM paper)."""

    SEPARABLE: ClassVar[bool] = True

    def transform_gradient(self, first: FirstPass[BatchT]) -> Vector:
        """The gradient as it is."""
        return first.gradient

    @property
    def gradients_per_step(self) -> float:
        """One."""
        return 1.0
