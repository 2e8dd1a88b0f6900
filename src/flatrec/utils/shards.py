"""One of several portions of a work, each of which a process of its own can do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from flatrec.utils.messages import clipped

MOST = 99_999  # what the five digits in a file name hold
_TEXT = re.compile(r"(?P<index>\d{1,9})/(?P<count>\d{1,9})")


@dataclass(frozen=True)
class Shard:
    """Which portion of a work, counted from 1; all of it by default.

    Args:
        index: the number of this shard, from 1 to ``count``.
        count: number of shards.

    Raises:
        ValueError: a number is out of range.

    Example:
        >>> Shard(3, 16).file(Path("recs.parquet")).name, list(Shard(2, 3).of(10))
        ('recs-00003-of-00016.parquet', [3, 4, 5])
    """

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST or not 1 <= self.index <= self.count:
            raise ValueError(
                f"a shard must be one of 1/n to n/n with at most {MOST} shards, as in 3/16, but is "
                f"{self.index}/{self.count}"
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that a text such as ``3/16`` names.

        Raises:
            ValueError: it names none.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"a shard must be written as 3/16, the third of sixteen, but is {clipped(text)!r}")
        return cls(int(found["index"]), int(found["count"]))

    @property
    def whole(self) -> bool:
        """Whether this is the only shard, so that its file has the plain name."""
        return self.count == 1

    def of(self, n_blocks: int) -> range:
        """Return the blocks of this shard; together, the shards have every block once and in order."""
        return range((self.index - 1) * n_blocks // self.count, self.index * n_blocks // self.count)

    def file(self, out: Path) -> Path:
        """Return the file of this shard, such as ``recs-00003-of-00016.parquet`` for ``recs.parquet``."""
        return out if self.whole else out.with_name(f"{out.stem}-{self.index:05}-of-{self.count:05}{out.suffix}")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def shard_names(out: Path) -> re.Pattern[str]:
    """Return the pattern of the names that the shards of a file have, whatever their number."""
    return re.compile(rf"{re.escape(out.stem)}-\d{{5}}-of-(?P<count>\d{{5}}){re.escape(out.suffix)}")
