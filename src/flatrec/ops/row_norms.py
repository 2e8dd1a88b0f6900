"""Norms of the rows of parameters, and directions that are measured row by row.

A row is what the first dimension of a tensor counts; a tensor with fewer than two dimensions is one row. Needs torch
alone, as :mod:`flatrec.optim` does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector
from flatrec.ops.row_vector import Part, RowMatrix, RowVector, parts_of, whole


def row_norms(x: Vector) -> list[Tensor]:
    """Return the Euclidean norm of each row, one column per tensor."""
    return [torch.linalg.vector_norm(as_rows(tensor), dim=1, keepdim=True) for tensor in x]


def row_directions(direction: Vector, lengths: Vector) -> Vector:
    """Return the direction with each row brought to a length of its own; rows of zeros stay.

    Rows of any finite size are brought to their length exactly. The cost is that of the rows that are not zero, and one
    pass over memory to find them.

    Args:
        direction: one tensor per parameter.
        lengths: for each tensor a column with the length of each row.
    """
    return RowVector([_part_directed(*pair) for pair in zip(parts_of(direction), lengths, strict=True)])


def _part_directed(part: Part, lengths: Tensor) -> Part:
    if isinstance(part, RowMatrix) and part.rows is not None:
        return RowMatrix(part.rows, _directed(part.values, lengths.index_select(0, part.rows)), len(lengths))
    tensor = whole(part)
    return _directed(as_rows(tensor), lengths).reshape(tensor.shape)


def _directed(rows: Tensor, lengths: Tensor) -> Tensor:
    chosen = nonzero_indices(rows)
    directed = rows.index_select(0, chosen)
    directed /= torch.maximum(directed.amax(dim=1, keepdim=True), -directed.amin(dim=1, keepdim=True))
    sizes = torch.linalg.vector_norm(directed, dim=1, keepdim=True)  # no square vanished
    directed *= lengths.index_select(0, chosen) / sizes
    return directed if len(chosen) == len(rows) else torch.zeros_like(rows).index_copy_(0, chosen, directed)


def nonzero_indices(rows: Tensor) -> Tensor:
    """Return the indices of the rows of a matrix that are not zero in every entry."""
    if rows.shape[1] == 0:
        return torch.arange(len(rows), device=rows.device)[:0]
    return ((rows.amax(dim=1) != 0) | (rows.amin(dim=1) != 0)).nonzero().flatten()


def nonzero_rows(x: Vector, like: Vector) -> list[Tensor]:
    """Return ``x`` with zeros in the rows in which ``like`` has nothing but zeros."""
    return [
        torch.where(as_rows(other).any(dim=1, keepdim=True), as_rows(tensor), 0).reshape(tensor.shape)
        for tensor, other in zip(x, like, strict=True)
    ]


def as_rows(tensor: Tensor) -> Tensor:
    """Return a tensor as a matrix of its rows."""
    return tensor.flatten(1) if tensor.ndim > 1 else tensor.reshape(1, -1)
