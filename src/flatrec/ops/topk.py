"""The k largest scores of each row, with a fixed rule for equal scores."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from torch import Tensor

from flatrec.ops.operator import operator

SMALL = 2**14  # scores up to which all are searched, as each operation takes longer than what it saves
GROUP = 8  # columns whose largest score stands for all of them at first
NO_KEY = np.iinfo(np.int64).min


def _empty_topk(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    values = scores.new_empty(scores.shape[0], k)
    return values, torch.empty_like(values, dtype=torch.int64)


@operator("stable_topk(Tensor scores, int k) -> (Tensor, Tensor)", _empty_topk)
def stable_topk(
    scores: Float[Tensor, "n_rows n_columns"], k: int
) -> tuple[Float[Tensor, "n_rows k"], Int64[Tensor, "n_rows k"]]:
    """Return the k largest float32 scores of each row and their columns, best first; of equal scores the lower column.

    Which column stands for a score of minus infinity is left open. To ask whether a score is NaN would be to wait for
    another device than the CPU: there, NaN comes first.

    Raises:
        ValueError: a score on the CPU is NaN.
    """
    if scores.device.type != "cpu":
        return topk_by_keys(scores, k)
    keys = _best_keys(scores.detach().contiguous().numpy(), k)
    columns = torch.from_numpy(-keys & 0xFFFFFFFF)
    values = scores.gather(1, columns)
    return torch.where(torch.from_numpy(keys == NO_KEY), -torch.inf, values), columns


def topk_by_keys(
    scores: Float[Tensor, "n_rows n_columns"], k: int
) -> tuple[Float[Tensor, "n_rows k"], Int64[Tensor, "n_rows k"]]:
    """Return what :func:`stable_topk` does, by keys that are all different; NaN is larger than any number."""
    largest = torch.iinfo(torch.int64).max
    keys = _tensor_keys(scores).masked_fill(scores.isnan(), largest)
    columns = keys.topk(k, dim=1).indices
    return scores.gather(1, columns), columns


def check_numbers(scores: Float[Tensor, "..."]) -> None:
    """Refuse scores that are no numbers.

    Raises:
        ValueError: a score is NaN.
    """
    if scores.isnan().any():
        raise _not_a_number()


def _not_a_number() -> ValueError:
    return ValueError("scores must be numbers, but some are NaN; the model's parameters are broken, train it again")


def grouped_topk(
    scores: Float[Tensor, "n_rows n_columns"], k: int, *, ordered: bool = True
) -> tuple[Float[Tensor, "n_rows k"], Int64[Tensor, "n_rows k"]]:
    """Return the k largest scores of each row and their columns; which of equal scores at the end is left open.

    With many columns, only the columns of k groups are searched: a column outside the k groups with the largest maxima
    has at least k other columns whose scores are not lower.

    Args:
        scores: what is searched.
        k: at most n_columns.
        ordered: whether the largest score comes first; otherwise the order is left open.
    """
    n_groups = scores.shape[1] // GROUP
    if n_groups <= 2 * k:
        return torch.topk(scores, k, dim=1, sorted=ordered)
    grouped = scores[:, : GROUP * n_groups].unflatten(1, (GROUP, n_groups))  # a group's columns lie n_groups apart
    _, groups = grouped_topk(grouped.amax(dim=1), k, ordered=False)
    candidates = grouped.gather(2, groups[:, None].expand(-1, GROUP, -1)).flatten(1)
    rest = scores[:, GROUP * n_groups :]
    values, positions = torch.cat([candidates, rest], dim=1).topk(k, dim=1, sorted=ordered)
    columns = positions // k * n_groups + groups.gather(1, positions % k)
    return values, torch.where(positions < GROUP * k, columns, positions - GROUP * k + GROUP * n_groups)


def _best_keys(scores: Float32[ndarray, "n_rows n_columns"], k: int) -> Int64[ndarray, "n_rows k"]:
    """Return the k largest keys of each row, the largest first, or as many as there are and ``NO_KEY``.

    With many columns, only some groups of columns are searched: at least k scores reach the k-th largest of the groups'
    maxima, so that all of the k best are in groups whose maximum does. A row in which too many groups do, as many
    scores are equal, is searched as a whole.

    Raises:
        ValueError: a score is NaN.
    """
    n_rows, n_columns = scores.shape
    n_groups = n_columns // GROUP
    if n_groups <= 2 * k or scores.size <= SMALL:
        if np.isnan(scores).any():
            raise _not_a_number()
        return _largest(_keys(scores, np.arange(n_columns)), k)
    maxima, rest = _maxima(scores), scores[:, GROUP * n_groups :]
    rows, groups = np.divmod(np.flatnonzero(maxima >= _bounds(maxima, k)), n_groups)
    if np.isnan(rest).any():
        raise _not_a_number()
    counts = np.bincount(rows, minlength=n_rows)
    crowded = counts > 3 * k
    if crowded.any():
        rows, groups = rows[~crowded[rows]], groups[~crowded[rows]]
        counts[crowded] = 0
    columns = groups[:, None] + n_groups * np.arange(GROUP)
    keys = np.full((n_rows, max(int(counts.max()), -(-k // GROUP)), GROUP), NO_KEY)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys[rows, places] = _keys(scores.ravel()[rows[:, None] * n_columns + columns], columns)
    last = _keys(rest, np.arange(GROUP * n_groups, n_columns))
    found = _largest(np.concatenate([keys.reshape(n_rows, -1), last], axis=1), k)
    if crowded.any():
        found[crowded] = _largest(_keys(scores[crowded], np.arange(n_columns)), k)
    return found


def _maxima(scores: Float32[ndarray, "n_rows n_columns"]) -> Float32[ndarray, "n_rows n_groups"]:
    """Return the largest score of each group of columns, which stand n_groups apart; NaN if one is NaN."""
    n_groups = scores.shape[1] // GROUP
    grouped = torch.from_numpy(scores[:, : GROUP * n_groups]).unflatten(1, (GROUP, n_groups))
    maxima: ndarray = grouped.amax(dim=1).numpy()
    return maxima


def _bounds(maxima: Float32[ndarray, "n_rows n_groups"], k: int) -> Float32[ndarray, "n_rows 1"]:
    """Return a number for each row that at least k scores reach, or that is the smallest one.

    Raises:
        ValueError: a score is NaN.
    """
    if np.isnan(maxima).any():
        raise _not_a_number()
    while maxima.shape[1] // GROUP > 2 * k:
        maxima = _maxima(maxima)
    ordered = np.sort(maxima, axis=1)  # it takes no longer than a partition, and equal numbers take no longer
    bounds: ndarray = np.maximum(ordered[:, -k, None], np.finfo(np.float32).min)
    return bounds


def _largest(keys: Int64[ndarray, "n_rows n"], k: int) -> Int64[ndarray, "n_rows k"]:
    """Return the k largest of each row, the largest first."""
    ordered: Int64[ndarray, "n_rows n"] = np.sort(keys, axis=1)
    return ordered[:, : -k - 1 : -1]


def _keys(scores: Float32[ndarray, "..."], columns: Int64[ndarray, "..."]) -> Int64[ndarray, "..."]:
    """Return what :func:`_tensor_keys` returns, of scores that stand in these columns."""
    bits = (scores + np.float32(0)).view(np.int32)
    monotone = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
    keys: ndarray = (monotone.astype(np.int64) << 32) - columns
    return keys


def _tensor_keys(scores: Float[Tensor, "n_rows n_columns"]) -> Int64[Tensor, "n_rows n_columns"]:
    """Return integers in the order of (score, lower column): the score's bits, made monotone, above the column."""
    bits = (scores + 0.0).view(torch.int32)  # + 0.0 turns -0.0, which equals 0.0, into it
    monotone = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    return (monotone << 32) - torch.arange(scores.shape[1], device=scores.device)
