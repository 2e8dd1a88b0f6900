"""Vectors whose matrices are zero but in a few rows, such as gradients by the embeddings that a batch reads.

Needs torch alone, as :mod:`flatrec.optim` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, overload

import torch
from torch import Tensor


class RowIndex(NamedTuple):
    """The different rows that are read, and where each reading finds its own among them.

    Args:
        rows: the rows, each once, in ascending order.
        places: for each reading the place of its row in ``rows``.
    """

    rows: Tensor
    places: Tensor

    @classmethod
    def of(cls, readings: Tensor, n_all: int) -> RowIndex:
        """Return the index of readings of a matrix with ``n_all`` rows, in time O(n_all) without sorting."""
        read: Tensor = torch.zeros(n_all, dtype=torch.bool, device=readings.device)
        rows = read.index_fill_(0, readings, True).nonzero().flatten()
        places = torch.empty(n_all, dtype=torch.int64, device=readings.device)
        places[rows] = torch.arange(len(rows), device=readings.device)
        return cls(rows, places.index_select(0, readings))


class RowMatrix:
    """A matrix that is zero but in some rows. It becomes an ordinary tensor when it is asked for as a whole.

    From then on that tensor holds its values, so that changes of the tensor in place are changes of the matrix.

    Args:
        rows: the rows that may hold other values than zeros, each once.
        values: the values of these rows.
        n_all: number of all rows.

    Example:
        >>> RowMatrix(torch.tensor([2]), torch.ones(1, 2), 3).whole().tolist()
        [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    """

    def __init__(self, rows: Tensor, values: Tensor, n_all: int) -> None:
        self._rows: Tensor | None = rows
        self._values, self._n_all = values, n_all

    @property
    def rows(self) -> Tensor | None:
        """The rows of ``values``; None if these are the whole matrix."""
        return self._rows

    @property
    def values(self) -> Tensor:
        """The values of ``rows``, or the whole matrix."""
        return self._values

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the whole matrix."""
        return self._n_all, self._values.shape[1]

    def with_values(self, values: Tensor) -> RowMatrix:
        """Return a matrix of other values in the same rows.

        Raises:
            ValueError: the rows are not known any more.
        """
        if self._rows is None:
            raise ValueError("a matrix that was read as a whole has no rows any more; take its values")
        return RowMatrix(self._rows, values, self._n_all)

    def whole(self) -> Tensor:
        """Return the matrix as a tensor, which is the same one at every call."""
        if self._rows is not None:
            whole = self._values.new_zeros(self._n_all, self._values.shape[1])
            self._values, self._rows = whole.index_copy_(0, self._rows, self._values), None
        return self._values


Part: TypeAlias = Tensor | RowMatrix


class RowVector(Sequence[Tensor]):
    """A vector, one tensor per parameter, some of which are :class:`RowMatrix` until they are read.

    It can be used wherever a list of tensors can; functions that know it work on the rows alone.

    Args:
        parts: the tensors and matrices.
        rest: computes further parts when they are first asked for; None if there are none.
        n_rest: number of further parts.

    Example:
        >>> vector = RowVector([RowMatrix(torch.tensor([0]), torch.ones(1, 2), 2), torch.zeros(3)])
        >>> [tensor.shape for tensor in vector]
        [torch.Size([2, 2]), torch.Size([3])]
    """

    def __init__(
        self, parts: Sequence[Part], rest: Callable[[], Sequence[Part]] | None = None, n_rest: int = 0
    ) -> None:
        self._parts, self._rest, self._n = tuple(parts), rest, len(parts) + n_rest

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts."""
        if self._rest is not None:
            self._parts, self._rest = (*self._parts, *self._rest()), None
        return self._parts

    def first(self, count: int) -> RowVector:
        """Return the vector of the first parts; of those that are known, none of the others is computed."""
        return RowVector((self._parts if count <= len(self._parts) else self.parts)[:count])

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        """The tensor, or a list of tensors."""
        if isinstance(index, slice):
            return [whole(part) for part in self.parts[index]]
        return whole(self.parts[index])

    def __len__(self) -> int:
        """The number of tensors."""
        return self._n


def parts_of(x: Sequence[Tensor]) -> Sequence[Part]:
    """Return the tensors of a vector without making whole what is not."""
    return x.parts if isinstance(x, RowVector) else x


def stored_values(x: Sequence[Tensor]) -> list[Tensor]:
    """Return tensors with all entries of a vector that are not zero, for sums that do not ask where they stand."""
    return [part.values if isinstance(part, RowMatrix) else part for part in parts_of(x)]


def aligned_values(x: Sequence[Tensor], y: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return pairs of tensors whose entries correspond, for sums over both vectors: common rows, or all."""
    return [_aligned(a, b) for a, b in zip(parts_of(x), parts_of(y), strict=True)]


def _aligned(a: Part, b: Part) -> tuple[Tensor, Tensor]:
    if isinstance(a, RowMatrix) and isinstance(b, RowMatrix) and a.rows is b.rows:
        return a.values, b.values
    return whole(a), whole(b)


def whole(part: Part) -> Tensor:
    """Return a part of a vector as a tensor."""
    return part.whole() if isinstance(part, RowMatrix) else part


def add_part_(out: Tensor, part: Part, weight: float) -> None:
    """Add a part of a vector, times a number, to a tensor in place."""
    if isinstance(part, RowMatrix) and part.rows is not None:
        out.index_add_(0, part.rows, part.values, alpha=weight)
    else:
        out.add_(whole(part), alpha=weight)


def weighted_sum(terms: Sequence[tuple[float, Part]]) -> Tensor:
    """Return the sum of at least one part of the same shape, each times a number, as a tensor of its own."""
    total = torch.zeros_like(like) if isinstance(like := terms[0][1], Tensor) else like.values.new_zeros(like.shape)
    for weight, part in terms:
        add_part_(total, part, weight)
    return total
