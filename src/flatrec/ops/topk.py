"""The k largest scores of each row, with a fixed rule for equal scores."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from flatrec.ops.operator import operator

SMALL = 2**16  # scores up to which all are searched at once, as each operation takes longer than what it saves
GROUP = 8  # columns whose largest score stands for all of them at first


def _empty_topk(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    values = scores.new_empty(scores.shape[0], k)
    return values, torch.empty_like(values, dtype=torch.int64)


@operator("stable_topk(Tensor scores, int k) -> (Tensor, Tensor)", _empty_topk)
def stable_topk(
    scores: Float[Tensor, "n_rows n_columns"], k: int
) -> tuple[Float[Tensor, "n_rows k"], Int64[Tensor, "n_rows k"]]:
    """Return the k largest float32 scores of each row and their columns, best first; of equal scores the lower column.

    The k + 1 largest scores show which rows have equal scores among them; only those rows are sorted by whole keys. To
    ask which rows these are, or whether a score is NaN, would be to wait for another device than the CPU: there, all
    rows are sorted by keys, and NaN comes first.

    Raises:
        ValueError: a score on the CPU is NaN.
    """
    if scores.device.type != "cpu":
        return topk_by_keys(scores, k)
    n_best = min(k + 1, scores.shape[1])
    values, columns = torch.topk(scores, n_best, dim=1) if scores.numel() <= SMALL else grouped_topk(scores, n_best)
    check_numbers(values)
    unclear = _tied(values)
    values, columns = values[:, :k].contiguous(), columns[:, :k].contiguous()
    if unclear.any():
        columns[unclear] = _keys(scores[unclear]).topk(k, dim=1).indices
        values[unclear] = scores[unclear].gather(1, columns[unclear])
    return values, columns


def topk_by_keys(
    scores: Float[Tensor, "n_rows n_columns"], k: int
) -> tuple[Float[Tensor, "n_rows k"], Int64[Tensor, "n_rows k"]]:
    """Return what :func:`stable_topk` does, by keys that are all different; NaN is larger than any number."""
    largest = torch.iinfo(torch.int64).max
    keys = _keys(scores).masked_fill(scores.isnan(), largest)
    columns = keys.topk(k, dim=1).indices
    return scores.gather(1, columns), columns


def check_numbers(scores: Float[Tensor, "..."]) -> None:
    """Refuse scores that are no numbers.

    Raises:
        ValueError: a score is NaN.
    """
    if scores.isnan().any():
        raise ValueError("scores must be numbers, but some are NaN; the model's parameters are broken, train it again")


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


def _tied(values: Float[Tensor, "n_rows k"]) -> Bool[Tensor, "n_rows"]:
    """Return which rows have two equal neighbors that are not both masked."""
    equal = (values[:, 1:] == values[:, :-1]) & ~values[:, 1:].isneginf()
    return equal.any(dim=1)


def _keys(scores: Float[Tensor, "n_rows n_columns"]) -> Int64[Tensor, "n_rows n_columns"]:
    """Return integers in the order of (score, lower column): the score's bits, made monotone, above the column."""
    bits = (scores + 0.0).view(torch.int32)  # + 0.0 turns -0.0, which equals 0.0, into it
    monotone = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    return (monotone << 32) - torch.arange(scores.shape[1], device=scores.device)
