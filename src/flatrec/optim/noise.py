"""The same random numbers for a closure that is called again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Noise:
    """Remembers where torch's generators stood when each closure of a step was first called.

    Args:
        devices: of the parameters; the generator of the CPU is always looked after.
    """

    def __init__(self, devices: set[torch.device]) -> None:
        self.cuda = [one for one in devices if one.type == "cuda"]
        self._first: dict[object, list[Tensor]] = {}

    @contextmanager
    def of(self, closure: object) -> Iterator[None]:
        """The first time: remember. Later: draw those numbers again, and leave the generators as they were."""
        now = self._states()
        if closure not in self._first:
            self._first[closure] = now
            yield
            return
        self._set(self._first[closure])
        try:
            yield
        finally:
            self._set(now)

    def _states(self) -> list[Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(one) for one in self.cuda)]

    def _set(self, states: list[Tensor]) -> None:
        cpu, *others = states
        torch.set_rng_state(cpu)
        for device, state in zip(self.cuda, others, strict=True):
            torch.cuda.set_rng_state(state, device)
