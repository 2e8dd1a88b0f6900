"""What is exported: of whom, how long the lists are, by which filters, which shard, and in which format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from flatrec.inference.candidates import Filters, id_tuple
from flatrec.inference.rerank import Rerank
from flatrec.utils.messages import clipped
from flatrec.utils.shards import Shard

Format: TypeAlias = Literal["parquet", "csv", "jsonl"]
FORMATS: tuple[Format, ...] = get_args(Format)
MOST_ITEMS = 10_000  # of a list
_ENDINGS: dict[str, Format] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The options of an export.

    Args:
        k: length of a list, from 1 to 10,000; shorter where fewer items are left.
        users: original ids of the users whose lists are exported, known or not, in this order; None for all users of
            the recommender. Similar items are always exported for all items.
        filters: which items may be listed.
        rerank: what else lists of recommendations should be like, beyond the order of the scores.
        shard: which portion is written; all of it by default.
        format: the format of a file; None for that of its ending, ``.parquet``, ``.csv``, ``.jsonl`` or ``.ndjson``.
        overwrite: whether files of another export, or of unknown origin, are replaced.

    Raises:
        TypeError: users are no ids.
        ValueError: k is out of range, there is no user, a user repeats, or the format is unknown.

    Example:
        >>> ExportOptions(k=20, shard=Shard(3, 16)).format_of(Path("recs.csv"))
        'csv'
    """

    k: int = 10
    users: Sequence[str] | None = None
    filters: Filters = field(default_factory=Filters)
    rerank: Rerank | None = None
    shard: Shard = field(default_factory=Shard)
    format: Format | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MOST_ITEMS:
            raise ValueError(f"k must lie between 1 and {MOST_ITEMS}, but is {self.k}")
        if self.format is not None:
            format_named(self.format)
        if self.users is not None:
            object.__setattr__(self, "users", id_tuple("users", self.users))
            _check_users(self.users)

    def format_of(self, file: Path) -> Format:
        """Return the format of a file.

        Raises:
            ValueError: no format is named, and the ending of the file names none.
        """
        if self.format is not None:
            return self.format
        known = _ENDINGS.get(file.suffix.lower())
        if known is None:
            raise ValueError(
                f"the ending of {file.name} names no format; end it in {', '.join(_ENDINGS)}, or name the format: "
                f"{', '.join(FORMATS)}"
            )
        return known


def format_named(name: str) -> Format:
    """Return the format of a name.

    Raises:
        ValueError: there is none.
    """
    for known in FORMATS:
        if name == known:
            return known
    raise ValueError(f"the format must be one of {', '.join(FORMATS)}, but is {clipped(name)!r}")


def _check_users(users: Sequence[str]) -> None:
    if not users:
        raise ValueError("users must name at least one user, but are empty; leave them out to export all users")
    if len(set(users)) != len(users):
        raise ValueError(
            f"{len(users) - len(set(users))} of {len(users)} users repeat; name each once, as in dict.fromkeys(users)"
        )
