"""Gradients by the rows of tables that a loss reads, without dense gradients of the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from flatrec.ops.row_vector import Part, RowIndex, RowMatrix, RowVector

# Options of F.embedding with which it changes neither its gradient nor the table.
UNCHANGED: Mapping[str, bool | None] = {
    "padding_idx": None,
    "max_norm": None,
    "scale_grad_by_freq": False,
    "sparse": False,
}


class GradientOf(NamedTuple):
    """A loss and its gradient.

    Args:
        loss: the loss, without its graph.
        gradient: one part per table.
    """

    loss: Tensor
    gradient: RowVector


class _Slope(NamedTuple):
    """The gradient of a loss by rows that were gathered of a table."""

    readings: Tensor
    values: Tensor


class GatheredGradients:
    """Gradients of losses by tables that the losses gather rows of.

    Where ``F.embedding`` gathers rows of a table, the gradient costs what these rows cost; its own backward pass fills
    a matrix as large as the table. Whatever else reads a table is differentiated as usual, and both are added up. The
    gradient by a matrix that is not read has no rows.
    Tables on other devices than the CPU are differentiated as usual: there a whole matrix is filled faster than its
    rows are found.

    Args:
        tables: the leaves that gradients are taken by, of any shape.

    Example:
        >>> table = torch.eye(3, requires_grad=True)
        >>> gradients = GatheredGradients([table])
        >>> found = gradients.of(lambda: F.embedding(torch.tensor([1, 1]), table).sum())
        >>> found.gradient[0].tolist()
        [[0.0, 0.0, 0.0], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self, tables: Sequence[Tensor]) -> None:
        self.tables = list(tables)
        self._indices: list[tuple[int, Tensor, RowIndex]] = []  # of the readings so far

    def of(self, function: Callable[[], Tensor], scale: float = 1.0, n_first: int | None = None) -> GradientOf:
        """Return the loss that a function computes, and its gradient by each table.

        Args:
            function: computes the loss, a scalar.
            scale: factor of the loss in the backward pass, which keeps small gradients of float16 from vanishing; the
                gradients are divided by it, exactly if it is a power of two.
            n_first: number of tables whose gradient is computed now, the first ones; that by the others is computed
                when it is first asked for, while the tables are what they were. None for all.
        """
        with _Recorder(self.tables) as recorder:
            loss = function()
        scaled = loss * scale if scale != 1 else loss
        count = len(self.tables) if n_first is None else n_first
        some, others = slice(count), slice(count, None)
        if not self.tables[others]:
            return GradientOf(loss.detach(), RowVector(self._parts(scaled, recorder, some, scale)))
        first = self._parts(scaled, recorder, some, scale, again=True)
        rest = partial(self._parts, scaled, recorder, others, scale)
        return GradientOf(loss.detach(), RowVector(first, rest, len(self.tables) - count))

    def _parts(
        self, loss: Tensor, recorder: _Recorder, some: slice, scale: float, *, again: bool = False
    ) -> list[Part]:
        """The gradient by some of the tables; the loss can be differentiated once more if that is asked for."""
        variables = [*self.tables[some], *recorder.anchors[some]]
        found = torch.autograd.grad(loss, variables, retain_graph=again, allow_unused=True)
        parts = map(self._part, self.tables[some], found, recorder.slopes[some])
        return [part if scale == 1 else _divided(part, scale) for part in parts]

    def _part(self, table: Tensor, gradient: Tensor | None, slopes: list[_Slope]) -> Part:
        """The gradient by one table, given that by the table as a whole and those by the rows gathered of it."""
        if not slopes:
            return _zeros_like(table) if gradient is None else gradient
        readings, values = slopes[0] if len(slopes) == 1 else map(torch.cat, zip(*slopes, strict=True))
        if gradient is not None:
            return gradient.index_add(0, readings, values)
        index = self._index(readings, len(table))
        sums = values.new_zeros(len(index.rows), table.shape[1]).index_add_(0, index.places, values)
        return RowMatrix(index.rows, sums, len(table))

    def _index(self, readings: Tensor, n_all: int) -> RowIndex:
        """The index of readings, which often are those of another table or of an earlier loss."""
        for n_rows, known, index in self._indices:
            if n_rows == n_all and torch.equal(known, readings):
                return index
        index = RowIndex.of(readings, n_all)
        self._indices.append((n_all, readings, index))
        return index


class _Recorder(TorchFunctionMode):
    """Context manager in which the gradient by rows that are gathered of tables is kept instead of spread out."""

    def __init__(self, tables: Sequence[Tensor]) -> None:
        super().__init__()
        self.numbers = {id(table): number for number, table in enumerate(tables) if table.device.type == "cpu"}
        self.anchors = [torch.zeros((), requires_grad=True) for _ in tables]
        self.slopes: list[list[_Slope]] = [[] for _ in tables]

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
        if number is None or any(options.get(name, off) is not off for name, off in UNCHANGED.items()):
            return F.embedding(readings, table, **options)
        given = self.anchors[number], table.detach(), readings, self.slopes[number]
        return cast(Tensor, _Gather.apply(*given))  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    """Rows of a table; their gradient is appended to a list.

    The anchor has no value: a gradient by it reaches this function. What is saved is what ``F.embedding`` saves, which
    takes the place of this function where a checkpoint computes it again.
    """

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, table: Tensor, readings: Tensor, slopes: list[_Slope]) -> Tensor:  # noqa: ANN401, ARG004, PLR0917
        ctx.save_for_backward(readings)
        ctx.slopes = slopes
        return table.index_select(0, readings.flatten()).view(*readings.shape, table.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:  # noqa: ANN401
        (readings,), (gradient,) = ctx.saved_tensors, gradients
        ctx.slopes.append(_Slope(readings.flatten(), gradient.reshape(-1, gradient.shape[-1])))
        return None, None, None, None


def _zeros_like(table: Tensor) -> Part:
    """Zeros, of a matrix without memory for its entries."""
    if table.dim() != 2:
        return torch.zeros_like(table)
    nowhere = torch.empty(0, dtype=torch.int64, device=table.device)
    return RowMatrix(nowhere, table.new_empty(0, table.shape[1]), len(table))


def _divided(part: Part, scale: float) -> Part:
    if isinstance(part, RowMatrix):
        return part.with_values(part.values / scale)
    return part / scale
