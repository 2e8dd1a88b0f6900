"""The same random numbers for a closure that is called again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Noise:
    """The states of torch's generators at the first call of each closure of a step.

    Args:
        devices: devices of the parameters; the generator of the CPU is always included.
    """

    def __init__(self, devices: set[torch.device]) -> None:
        self.cuda = [device for device in devices if device.type == "cuda"]
        self._first: dict[object, list[Tensor]] = {}

    @contextmanager
    def of(self, closure: object) -> Iterator[None]:
        """Context manager for a call of a closure; later calls draw the same numbers, and change no generator."""
        current = self._states()
        if closure not in self._first:
            self._first[closure] = current
            yield
            return
        self._set(self._first[closure])
        try:
            yield
        finally:
            self._set(current)

    def _states(self) -> list[Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in self.cuda)]

    def _set(self, states: list[Tensor]) -> None:
        cpu, *others = states
        torch.set_rng_state(cpu)
        for device, state in zip(self.cuda, others, strict=True):
            torch.cuda.set_rng_state(state, device)
