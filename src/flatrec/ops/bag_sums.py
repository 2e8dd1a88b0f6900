"""The kernel of all sparse products: sums of rows of a dense matrix, weighted by the entries of a sparse one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

PIECE_ENTRIES = 128  # entries that one thread block of a GPU adds up one after the other


def bag_sums(
    dense: Float[Tensor, "n_columns width"],
    offsets: Int[Tensor, "n_rows_plus_1"],
    indices: Int[Tensor, "n_entries"],
    values: Float[Tensor, "n_entries"],
) -> Float[Tensor, "n_rows width"]:
    """Return, for each row of a sparse matrix, the sum of its entries times rows of ``dense``.

    Args:
        dense: the dense matrix.
        offsets: row r has the entries from ``offsets[r]`` to ``offsets[r + 1]``.
        indices: the column of each entry.
        values: the value of each entry, of the type of ``dense``.
    """
    return F.embedding_bag(
        indices, dense.contiguous(), offsets, mode="sum", per_sample_weights=values, include_last_offset=True
    )


def split_bag_sums(
    dense: Float[Tensor, "n_columns width"],
    pieces: Sequence[Tensor],
    indices: Int[Tensor, "n_entries"],
    values: Float[Tensor, "n_entries"],
) -> Float[Tensor, "n_rows width"]:
    """Return what :func:`bag_sums` does, for GPUs, where the longest row decides how long a product takes.

    A GPU walks along a row entry by entry, and many rows at a time. Long rows are cut into pieces that it walks along
    at the same time, and the sums of the pieces are added up. Values of 16 bits are rounded once more in between.

    Args:
        dense: the dense matrix.
        pieces: the arrays that :func:`cut_rows` returns.
        indices: the column of each entry.
        values: the value of each entry, of the type of ``dense``.
    """
    starts, numbers, offsets = pieces
    sums = bag_sums(dense, starts, indices, values)
    return F.embedding_bag(numbers, sums, offsets, mode="sum", include_last_offset=True)


class Pieces(NamedTuple):
    """Rows that were cut into pieces, the last of which may be empty.

    Args:
        starts: where each piece begins among the entries, and the end of the last one.
        numbers: the numbers of the pieces, 0, 1, 2 and so on.
        offsets: where each row begins among the pieces, and the end of the last one.
    """

    starts: Int[Tensor, "n_pieces_plus_1"]
    numbers: Int[Tensor, "n_pieces"]
    offsets: Int[Tensor, "n_rows_plus_1"]


def cut_rows(offsets: Int[Tensor, "n_rows_plus_1"], n_entries: int) -> Pieces | None:
    """Cut rows into pieces of at most ``PIECE_ENTRIES`` entries.

    With p entries a piece, row r begins with piece r + offsets[r] // p. So the number of all pieces follows from the
    sizes alone, and no device is waited for; a row has at most one piece more than it needs, which is empty.

    Args:
        offsets: where each row begins among the entries, and the end of the last one.
        n_entries: number of entries.

    Returns:
        The pieces; ``None`` where it is known that no row is longer than one, which only the CPU is asked, and in
        compiled code, which does not move matrices to other devices.
    """
    lengths = offsets.diff()
    if torch.compiler.is_compiling() or (offsets.device.type == "cpu" and not (lengths > PIECE_ENTRIES).any()):
        return None
    n_pieces = len(lengths) + n_entries // PIECE_ENTRIES
    numbers = torch.arange(n_pieces, dtype=offsets.dtype, device=offsets.device)
    firsts = torch.arange(len(offsets), dtype=offsets.dtype, device=offsets.device) + offsets // PIECE_ENTRIES
    rows = torch.searchsorted(firsts, numbers, right=True) - 1
    skipped = PIECE_ENTRIES * (numbers - firsts.index_select(0, rows))
    starts = offsets.index_select(0, rows) + skipped.minimum(lengths.index_select(0, rows))
    return Pieces(torch.cat([starts, offsets[-1:]]), numbers, firsts)
