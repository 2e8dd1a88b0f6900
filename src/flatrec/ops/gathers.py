"""Gradients by the rows of tables that a loss reads, without dense gradients of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from flatrec.ops.row_vector import Part, RowIndex, RowMatrix

# Options of F.embedding that change its gradient or the table.
CHANGING = ("padding_idx", "max_norm", "scale_grad_by_freq", "sparse")


class _Gather(NamedTuple):
    """Rows that were gathered of a table, as a variable of their own."""

    readings: Tensor
    rows: Tensor


class GatheredGradients:
    """Gradients of losses by tables that the losses gather rows of.

    The rows that ``F.embedding`` gathers of a table are variables of their own, so that a gradient costs what these
    rows cost; the backward pass of ``F.embedding`` fills a matrix as large as the table. Whatever else reads a table is
    differentiated as usual, and both are added up. Tables on other devices than the CPU are differentiated as usual:
    there a whole matrix is filled faster than its rows are found.

    Args:
        tables: the leaves that gradients are taken by, of any shape.

    Example:
        >>> table = torch.eye(3, requires_grad=True)
        >>> gradients = GatheredGradients([table])
        >>> loss, (gradient,) = gradients.of(lambda: F.embedding(torch.tensor([1, 1]), table).sum())
        >>> gradient.rows.tolist(), gradient.values.tolist()
        ([1], [[2.0, 2.0, 2.0]])
    """

    def __init__(self, tables: Sequence[Tensor]) -> None:
        self.tables = list(tables)
        self._indices: list[tuple[int, Tensor, RowIndex]] = []  # of the readings so far

    def of(self, function: Callable[[], Tensor], scale: float = 1.0) -> tuple[Tensor, list[Part]]:
        """Return the loss that a function computes, and its gradient by each table.

        Args:
            function: computes the loss, a scalar.
            scale: factor of the loss in the backward pass, which keeps small gradients of float16 from vanishing; the
                gradients are divided by it, exactly if it is a power of two.
        """
        with _Recorder(self.tables) as recorder:
            loss = function()
            gathers = [list(some) for some in recorder.gathers]
            variables = [*self.tables, *(gather.rows for some in gathers for gather in some)]
            # Recorded as well, so that what a checkpoint computes again is computed as the first time.
            scaled = loss * scale if scale != 1 else loss
            found: Iterator[Tensor | None] = iter(torch.autograd.grad(scaled, variables, allow_unused=True))
        if scale != 1:
            found = (None if one is None else one / scale for one in found)
        whole = [next(found) for _ in self.tables]
        slopes = [[(gather.readings, next(found)) for gather in some] for some in gathers]
        return loss.detach(), [self._part(*given) for given in zip(self.tables, whole, slopes, strict=True)]

    def _part(self, table: Tensor, whole: Tensor | None, slopes: list[tuple[Tensor, Tensor | None]]) -> Part:
        """The gradient by one table, given that by the table itself and those by the rows gathered of it."""
        reached = [(readings, slope) for readings, slope in slopes if slope is not None]
        if not reached:
            return torch.zeros_like(table) if whole is None else whole
        readings, slope = reached[0] if len(reached) == 1 else map(torch.cat, zip(*reached, strict=True))
        if whole is not None:
            return whole.index_add(0, readings, slope)
        index = self._index(readings, len(table))
        values = slope.new_zeros(len(index.rows), table.shape[1]).index_add_(0, index.places, slope)
        return RowMatrix(index.rows, values, len(table))

    def _index(self, readings: Tensor, n_all: int) -> RowIndex:
        """The index of readings, which often are those of another table or of an earlier loss."""
        for n_rows, known, index in self._indices:
            if n_rows == n_all and torch.equal(known, readings):
                return index
        index = RowIndex.of(readings, n_all)
        self._indices.append((n_all, readings, index))
        return index


class _Recorder(TorchFunctionMode):
    """Context manager in which rows that are gathered of tables are variables of their own."""

    def __init__(self, tables: Sequence[Tensor]) -> None:
        super().__init__()
        self.numbers = {id(table): number for number, table in enumerate(tables) if table.device.type == "cpu"}
        self.gathers: list[list[_Gather]] = [[] for _ in tables]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],  # noqa: ARG002 - the signature is torch's
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Gather rows of a table, or do what torch does."""
        if func is F.embedding and torch.is_grad_enabled():
            return self._embedding(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _embedding(self, readings: Tensor, table: Tensor, **options: Any) -> Tensor:  # noqa: ANN401
        number = self.numbers.get(id(table))
        if number is None or any(options.get(name) not in (None, False) for name in CHANGING):
            return F.embedding(readings, table, **options)
        return self._gathered(number, readings, table)

    def _gathered(self, number: int, readings: Tensor, table: Tensor) -> Tensor:
        rows = table.detach().index_select(0, readings.flatten()).requires_grad_()
        self.gathers[number].append(_Gather(readings.flatten(), rows))
        return rows.view(*readings.shape, table.shape[1])
