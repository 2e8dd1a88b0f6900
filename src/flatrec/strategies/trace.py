"""Running means of what a strategy watches."""

from __future__ import annotations

import torch
from torch import Tensor


class Trace:
    """Running means by name; kept on the device, so that adding does not wait for it."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Count a scalar in."""
        self._values.setdefault(name, []).append(value.detach())

    def take(self) -> dict[str, float]:
        """The means so far, and start anew."""
        means = {name: float(torch.stack(values).mean()) for name, values in self._values.items()}
        self._values = {}
        return means
