"""Running means of what a strategy measures."""

from __future__ import annotations

import torch
from torch import Tensor


class Diagnostics:
    """Means of scalars by name; the values stay on their device, so that adding one does not wait for it."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add a scalar to the values of a name."""
        self._values.setdefault(name, []).append(value.detach())

    def take(self) -> dict[str, float]:
        """Return the means of the finite values so far, and start again; a step whose values overflow fails anyway."""
        columns = {name: torch.stack(values) for name, values in self._values.items()}
        self._values = {}
        finite = {name: column[column.isfinite()] for name, column in columns.items()}
        return {name: float(column.mean()) for name, column in finite.items() if len(column)}
