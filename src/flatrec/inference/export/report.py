"""What an export did: how many rows, by which paths, and what a reader of it should know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl


@dataclass(frozen=True)
class ExportReport:
    """What was exported, or had been exported before.

    Args:
        what: ``recommendations``, ``similar`` or ``vectors``.
        target: the file, folder or table.
        generation: the digest of the recommender and the options; equal generations have equal rows.
        rows: number of rows.
        lists: number of lists that have an item.
        empty_lists: number of lists without an item, which have no row.
        paths: number of lists by path, of those that have an item.
        shard: which shard this is, such as ``3/16``.
        skipped: whether it was there already.
        notes: sentences on what is not as somebody may expect.
    """

    what: str
    target: str
    generation: str
    rows: int = 0
    lists: int = 0
    empty_lists: int = 0
    paths: Mapping[str, int] = field(default_factory=dict)
    shard: str = "1/1"
    skipped: bool = False
    notes: tuple[str, ...] = ()


class Tally:
    """Counts the rows and lists of blocks that pass."""

    def __init__(self) -> None:
        self.rows = 0
        self.lists = 0
        self.paths: Counter[str] = Counter()

    def counting(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield the same blocks."""
        for frame in frames:
            first = frame.filter(pl.col("rank") == 1)
            self.rows += len(frame)
            self.lists += len(first)
            if "path" in frame.columns:
                self.paths.update(first["path"].to_list())
            yield frame
