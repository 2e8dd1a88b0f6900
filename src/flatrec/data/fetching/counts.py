"""Whether a data set has the users, items and interactions that its publisher states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flatrec.data.dataset import Dataset
from flatrec.data.fetching.catalog import PublicDataset
from flatrec.data.row_counts import row_counts

_UNITS = {"K": 10**3, "M": 10**6}


def check_counts(dataset: PublicDataset, data: Dataset, out: Path) -> None:
    """Compare the counts of a data set that was read with those that its publisher states.

    Raises:
        ValueError: a count differs.
    """
    wrong = [
        f"{found} {what} where its publisher states {stated}"
        for what, found, stated in _counts(dataset, data)
        if stated and not agrees(found, stated)
    ]
    if wrong:
        raise ValueError(
            f"{dataset.name} was read from {out}, but has {' and '.join(wrong)} ({dataset.source}, read on "
            f"{dataset.read_on}); the files are kept: use them with care, or look for what its publisher changed"
        )


def agrees(found: int, stated: str) -> bool:
    """Return True if a count is the stated one, which may be rounded to thousands or millions.

    Example:
        >>> agrees(94762, "94.8K"), agrees(94862, "94.8K"), agrees(6040, "6,040")
        (True, False, True)
    """
    digits = stated.replace(",", "")
    unit = _UNITS.get(digits[-1])
    if unit is None:
        return found == int(digits)
    whole, _, decimals = digits[:-1].partition(".")
    step = unit // int("1" + "0" * len(decimals))
    return abs(found - int(whole + decimals) * step) * 2 <= step


def _counts(dataset: PublicDataset, data: Dataset) -> Iterator[tuple[str, int, str]]:
    """Yield what is counted, how many there are, and how many are stated; repeated interactions are counted."""
    items = data.n_items
    if dataset.counts_listed_items:
        items += sum(report.unused_rows for report in data.cleaning_report.tables)
    stated = dataset.counts
    yield "users", data.n_users, stated.users
    yield "items", items, stated.items
    rows = row_counts(data)
    yield "interactions", rows.interactions + rows.summed + rows.repeats, stated.interactions
