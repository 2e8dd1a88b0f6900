"""Whether what a step has computed is finite: known at once on the CPU, and once a step where asking means waiting."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector, norm
from flatrec.strategies.context import NonFiniteGradientError


class FiniteChecks:
    """The checks of one step. What is not finite makes the step fail before it updates a parameter.

    On the CPU a check fails where it is made. On another device it is kept and fails at :meth:`settle`, so that the
    processor waits for the device once a step and not at every gradient.

    Args:
        text: what the error says.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[Tensor] = []

    def require(self, losses: Sequence[Tensor], gradients: Sequence[Vector] = ()) -> None:
        """Ask that losses and gradients are finite; a sum of squares that overflows counts as not finite.

        Raises:
            NonFiniteGradientError: one is not, and that is known already.
        """
        if not losses and not gradients:
            return
        sizes = [*losses, *(norm(gradient).to(losses[0]) if losses else norm(gradient) for gradient in gradients)]
        self._open.append(torch.isfinite(torch.stack(sizes)).all())
        if sizes[0].device.type == "cpu":
            self.settle()

    def settle(self) -> None:
        """Wait for the checks that are open.

        Raises:
            NonFiniteGradientError: one of them failed.
        """
        checks, self._open = self._open, []
        if checks and not bool(torch.stack(checks).all()):
            raise NonFiniteGradientError(self._text)

    def forget(self) -> None:
        """Leave out the checks that are open, as their step is over."""
        self._open = []
