"""Plain training: the base optimizer gets the gradient of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from flatrec.strategies.base import OneBatch
from flatrec.strategies.learning import BatchT, Learning
from flatrec.strategies.vectors import Vector


@dataclass(kw_only=True, eq=False)
class Plain(OneBatch):
    """Theta <- Theta - gamma grad L_B(Theta) under SGD (eq. 2 of the BSAM paper)."""

    def refined(self, learner: Learning[BatchT], batch: BatchT, gradient: Vector) -> Vector:  # noqa: ARG002
        """The gradient as it is."""
        return gradient

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to take up."""

    def take_trace(self) -> dict[str, float]:
        """Nothing is watched."""
        return {}
