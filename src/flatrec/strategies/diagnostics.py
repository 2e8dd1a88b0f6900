"""Running means of what a strategy watches."""

from __future__ import annotations

import torch
from torch import Tensor


class Diagnostics:
    """Running means by name; kept on the device, so that adding does not wait for it."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Count a scalar in."""
        self._values.setdefault(name, []).append(value.detach())

    def take(self) -> dict[str, float]:
        """The means of the finite values so far, and start again; a step whose values overflow is given up anyway."""
        columns = {name: torch.stack(values) for name, values in self._values.items()}
        self._values = {}
        finite = {name: column[column.isfinite()] for name, column in columns.items()}
        return {name: float(column.mean()) for name, column in finite.items() if len(column)}
