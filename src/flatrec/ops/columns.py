"""Sums over the columns of tables that several processes share, each of which holds some columns of every table.

A product with a graph works on each column by itself. What needs all columns, such as an inner product of two rows, a
norm or a penalty, is a sum over columns, and passes through this module. Where no columns are shared, as in a single
process, every function returns what it was given. Needs torch alone, as :mod:`flatrec.optim` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, distributed


class LostProcessError(ConnectionError):
    """Another process of the run has ended, or has not answered in time."""


class Columns(NamedTuple):
    """Where the columns of the embeddings lie in a parameter.

    Args:
        dim: the dimension of the columns.
        blocks: number of tables that stand side by side in the parameter, each of which has all columns.
    """

    dim: int
    blocks: int = 1


@dataclass(frozen=True)
class ColumnGroup:
    """This process among those that share columns; they talk by torch's default process group.

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

    def own_columns(self, n_columns: int) -> slice:
        """The columns of this process, of a table with so many; the first processes have one more where it must be."""
        width, wider = divmod(n_columns, self.size)
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
                f"{str(error).splitlines()[0]}); start all of them again with --resume"
            ) from None


_sharing: list[
    ColumnGroup
] = []  # of the whole process, as torch's process group is: gradients have threads of their own


@contextmanager
def sharing(group: ColumnGroup | None) -> Iterator[None]:
    """Context manager in which sums over columns are those of all processes of a group; None for this process alone."""
    if group is None:
        yield
        return
    _sharing.append(group)
    try:
        yield
    finally:
        _sharing.pop()


def current_group() -> ColumnGroup | None:
    """Return the processes that share columns; None if this process has them all."""
    return _sharing[-1] if _sharing else None


def column_sum(x: Tensor) -> Tensor:
    """Return the sum over all columns, given the sum over those of this process.

    The gradient is the identity. Every process computes the same loss of the same sums, so that the gradient of the
    loss by a sum is its gradient by each of the summands.
    """
    group = current_group()
    return x if group is None else cast(Tensor, _Sum.apply(x, group))  # type: ignore[no-untyped-call]


def column_mean(x: Tensor) -> Tensor:
    """Return the mean of the entries in all columns, given those of this process."""
    return x.mean() if current_group() is None else column_sum(x.sum()) / n_all_columns(x.numel())


def column_sums(scalars: Sequence[Tensor]) -> list[Tensor]:
    """Return the sum over all columns of several scalars at once, without gradients."""
    group = current_group()
    if group is None:
        return list(scalars)
    total = group.sum(torch.stack([scalar.double() for scalar in scalars]))
    return [one.to(scalar.dtype) for one, scalar in zip(total, scalars, strict=True)]


def column_norm(x: Tensor) -> Tensor:
    """Return the Euclidean norms over all columns, given those over the columns of this process."""
    group = current_group()
    return x if group is None else cast(Tensor, _Norm.apply(x, group))  # type: ignore[no-untyped-call]


def whole_rows(x: Tensor) -> Tensor:
    """Return a parameter that is no table of columns, but whose rows the processes hold in turn.

    It is multiplied with columns, so that its gradient is the sum of those of all processes.
    """
    group = current_group()
    return x if group is None else cast(Tensor, _WholeRows.apply(x, group))  # type: ignore[no-untyped-call]


def whole_table(x: Tensor) -> Tensor:
    """Return a matrix with all columns, given those of this process, without gradients."""
    group = current_group()
    return x if group is None else group.whole(x, 1)


def n_all_columns(n: int) -> int:
    """Return a number of entries in all columns, given that of this process."""
    group = current_group()
    return n if group is None else int(group.sum(torch.tensor([n], device=group.device)))


def everywhere(claim: bool) -> bool:
    """Return True if a claim is true in every process."""
    group = current_group()
    return claim if group is None else not group.sum(torch.tensor([int(not claim)], device=group.device)).any()


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ColumnGroup) -> Tensor:  # noqa: ANN401, ARG004
        return group.sum(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401, ARG004
        return gradients[0], None


class _WholeRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ColumnGroup) -> Tensor:  # noqa: ANN401
        ctx.group = group
        return group.whole(x, 0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        total = ctx.group.sum(gradients[0])
        return total[ctx.group.own_columns(len(total))], None


class _Norm(torch.autograd.Function):
    """The root of the sum of squares, in float64; the gradient by a norm of this process is that norm / the result."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ColumnGroup) -> Tensor:  # noqa: ANN401
        total = group.sum(x.double().square()).sqrt().to(x.dtype)
        ctx.save_for_backward(x, total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        x, total = ctx.saved_tensors
        return gradients[0] * torch.where(total > 0, x / total, torch.zeros_like(total)), None
