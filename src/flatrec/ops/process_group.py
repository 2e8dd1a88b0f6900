"""The processes that train one model together: how they exchange tensors, and which of them this one is.

Needs torch alone, as :mod:`flatrec.optim` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


class LostProcessError(ConnectionError):
    """Another process of the run has ended, or has not answered in time."""


@dataclass(frozen=True)
class ProcessGroup:
    """This process among those that train one model; they talk by torch's default process group.

    Args:
        rank: the number of this process, from 0.
        size: how many processes there are.
        device: the device on which they exchange tensors.
    """

    rank: int
    size: int
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - devices do not change

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def own(self, n: int) -> slice:
        """The slice of n things that this process has; the first processes have one more where it must be."""
        width, wider = divmod(n, self.size)
        start = self.rank * width + min(self.rank, wider)
        return slice(start, start + width + (self.rank < wider))

    def sum(self, x: Tensor) -> Tensor:
        """Return the sum of the tensors of all processes, the same bits in each of them.

        Raises:
            LostProcessError: another process is gone.
        """
        total = x.detach().clone(memory_format=torch.contiguous_format)
        self._exchange(lambda: distributed.all_reduce(total))
        return total

    def sum_all(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the sum of each tensor over all processes, by one message; the results share their memory.

        Args:
            tensors: of the same shapes in all processes; where they differ in type, the sums have the widest.

        Raises:
            LostProcessError: another process is gone.
        """
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        self._exchange(lambda: distributed.all_reduce(flat))
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]

    def whole(self, x: Tensor, dim: int) -> Tensor:
        """Return the table whose columns the processes share; ``dim`` is the dimension of the columns.

        Raises:
            LostProcessError: another process is gone.
        """
        widths = self.sum(torch.eye(self.size, dtype=torch.int64, device=x.device)[self.rank] * x.shape[dim]).tolist()
        own = x.detach().movedim(dim, 0)
        padded = own.new_zeros(max(widths), *own.shape[1:])
        padded[: len(own)] = own
        blocks = [torch.empty_like(padded) for _ in widths]
        self._exchange(lambda: distributed.all_gather(blocks, padded))
        columns = torch.cat([block[:width] for block, width in zip(blocks, widths, strict=True)])
        return columns.movedim(0, dim).contiguous()

    def rows(self, x: Tensor) -> Tensor:
        """Return the rows of all processes, one after the other, on the device of those of this process.

        Raises:
            LostProcessError: another process is gone.
        """
        return self.whole(x.to(self.device), 0).to(x.device)

    def of_first(self, values: Sequence[float]) -> list[float]:
        """Return the numbers that the first process has, so that all processes decide alike.

        Raises:
            LostProcessError: another process is gone.
        """
        numbers = torch.tensor(values, dtype=torch.float64, device=self.device)
        self._exchange(lambda: distributed.broadcast(numbers, src=0))
        return [float(number) for number in numbers.tolist()]

    def integer_of(self, rank: int, value: int) -> int:
        """Return the whole number that one of the processes has.

        Raises:
            LostProcessError: another process is gone.
        """
        number = torch.tensor([value], dtype=torch.int64, device=self.device)
        self._exchange(lambda: distributed.broadcast(number, src=rank))
        return int(number)

    def wait(self) -> None:
        """Wait until every process has come here.

        Raises:
            LostProcessError: another process is gone.
        """
        self.sum(torch.zeros(1, device=self.device))

    def _exchange(self, exchange: Callable[[], object]) -> None:
        try:
            exchange()
        except RuntimeError as error:
            raise LostProcessError(
                f"a process of this run has ended or does not answer (this is {self.rank} of 0 to {self.size - 1}: "
                f"{reason_of(error)}); start all of them again with --resume"
            ) from None


def reason_of(error: Exception) -> str:
    """Return the first sentence of an error of torch, without the place in its sources.

    Example:
        >>> reason_of(RuntimeError("[/gloo/pair.cc:537] Read error: Connection reset by peer. Check the logs."))
        'Read error: Connection reset by peer'
    """
    first = str(error).partition("\n")[0]
    return re.sub(r"^\[[^]]*\] ", "", first).partition(". ")[0]


# Of the whole process, as torch's process group is: gradients have threads of their own.
_together: list[ProcessGroup] = []


@contextmanager
def current_in(groups: list[ProcessGroup], group: ProcessGroup | None) -> Iterator[None]:
    """Context manager in which a group is the last one of a list; None leaves the list as it is."""
    if group is None:
        yield
        return
    groups.append(group)
    try:
        yield
    finally:
        groups.pop()


def together(group: ProcessGroup | None) -> AbstractContextManager[None]:
    """Context manager in which the processes of a group divide what can be divided; None for this process alone."""
    return current_in(_together, group)


def current_processes() -> ProcessGroup | None:
    """Return the processes that train together; None if this process trains alone."""
    return _together[-1] if _together else None


def everywhere(claim: bool) -> bool:
    """Return True if a claim is true in every process."""
    group = current_processes()
    return claim if group is None else not group.sum(torch.tensor([int(not claim)], device=group.device)).any()
