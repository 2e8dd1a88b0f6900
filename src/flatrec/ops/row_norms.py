"""Norms of the rows of parameters, and directions that are measured row by row.

A row is what the first dimension of a tensor counts; a tensor with fewer than two dimensions is one row. Needs torch
alone, as :mod:`flatrec.optim` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor

from flatrec.ops.columns import column_norm, current_group
from flatrec.ops.param_vector import Vector
from flatrec.ops.row_vector import Part, RowMatrix, RowVector, parts_of, whole

SMALLEST, LARGEST = 1e-15, 1e15  # norms of rows whose squares float32 holds to full precision


class RowNorms(Sequence[Tensor]):
    """The Euclidean norm of each row of a vector, one column per tensor, computed where it is read.

    Args:
        x: one tensor per parameter.
    """

    def __init__(self, x: Vector) -> None:
        self._x = x

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        """The column of a tensor, or a list of columns."""
        if isinstance(index, slice):
            return [_norms(as_rows(tensor)) for tensor in self._x[index]]
        return _norms(as_rows(self._x[index]))

    def __len__(self) -> int:
        """The number of tensors."""
        return len(self._x)

    def of_rows(self, index: int, rows: Tensor) -> Tensor:
        """Return the norms of some rows of one tensor."""
        return _norms(as_rows(self._x[index]).index_select(0, rows))


def row_norms(x: Vector) -> RowNorms:
    """Return the Euclidean norm of each row, one column per tensor."""
    return RowNorms(x)


def row_directions(direction: Vector, lengths: Sequence[Tensor]) -> RowVector:
    """Return the direction with each row brought to a length of its own; rows of zeros stay.

    Rows of any finite size are brought to their length exactly. The cost is that of the rows that are not zero, and one
    pass over memory to find them, unless the direction says where they are.

    Args:
        direction: one tensor per parameter.
        lengths: for each tensor a column with the length of each row, such as :class:`RowNorms`.
    """
    return RowVector([_part_directed(part, lengths, index) for index, part in enumerate(parts_of(direction))])


def _part_directed(part: Part, lengths: Sequence[Tensor], index: int) -> Part:
    if isinstance(part, RowMatrix) and (rows := part.rows) is not None:
        return part.with_values(_quickly_directed(part.values, _lengths_of(lengths, index, rows)))
    tensor = whole(part)
    return _directed(as_rows(tensor), lengths[index]).reshape(tensor.shape)


def _lengths_of(lengths: Sequence[Tensor], index: int, rows: Tensor) -> Tensor:
    if isinstance(lengths, RowNorms):
        return lengths.of_rows(index, rows)
    return lengths[index].index_select(0, rows)


def _quickly_directed(rows: Tensor, lengths: Tensor) -> Tensor:
    """The same up to rounding, in fewer passes where the squares of all rows are far from the limits of their type."""
    if rows.device.type != "cpu":
        return directed_at_once(rows, lengths)
    norms = _norms(rows)
    if len(rows) > 0 and bool(((norms > SMALLEST) & (norms < LARGEST)).all()):
        return rows * (lengths / norms)
    return _directed(rows, lengths)


def _directed(rows: Tensor, lengths: Tensor) -> Tensor:
    if current_group() is not None:
        return _directed_by_columns(rows, lengths)
    if rows.shape[1] == 0:
        return rows
    if rows.device.type != "cpu":
        return directed_at_once(rows, lengths)
    largest = torch.maximum(rows.amax(dim=1, keepdim=True), -rows.amin(dim=1, keepdim=True))
    chosen = largest.flatten().nonzero().flatten()
    if len(chosen) == len(rows):
        return _with_lengths(rows / largest, lengths)
    some, of_some, largest = (one.index_select(0, chosen) for one in (rows, lengths, largest))
    return torch.zeros_like(rows).index_copy_(0, chosen, _with_lengths(some / largest, of_some))


def _directed_by_columns(rows: Tensor, lengths: Tensor) -> Tensor:
    """The same where processes share the columns; in float64, in which no square of float32 vanishes."""
    norms = column_norm(torch.linalg.vector_norm(rows, dim=1, keepdim=True, dtype=torch.float64))
    factors = torch.where(norms > 0, lengths / norms, torch.zeros_like(norms))
    return (rows * factors).to(rows.dtype)


def directed_at_once(rows: Tensor, lengths: Tensor) -> Tensor:
    """The same without looking which rows are zero, which would be to wait for a device."""
    largest = torch.maximum(rows.amax(dim=1, keepdim=True), -rows.amin(dim=1, keepdim=True))
    is_zero = largest == 0
    return _with_lengths(rows / largest.masked_fill(is_zero, 1), lengths).masked_fill(is_zero, 0)


def _with_lengths(rows: Tensor, lengths: Tensor) -> Tensor:
    """Rows whose largest entry is 1, so that no square vanishes, brought to their lengths in place."""
    return rows.mul_(lengths / torch.linalg.vector_norm(rows, dim=1, keepdim=True))


def nonzero_rows(x: Vector, like: Vector) -> list[Tensor]:
    """Return ``x`` with zeros in the rows in which ``like`` has nothing but zeros."""
    return [
        torch.where(as_rows(other).any(dim=1, keepdim=True), as_rows(tensor), 0).reshape(tensor.shape)
        for tensor, other in zip(x, like, strict=True)
    ]


def as_rows(tensor: Tensor) -> Tensor:
    """Return a tensor as a matrix of its rows."""
    return tensor.flatten(1) if tensor.ndim > 1 else tensor.reshape(1, -1)


def _norms(rows: Tensor) -> Tensor:
    return column_norm(torch.linalg.vector_norm(rows, dim=1, keepdim=True))
