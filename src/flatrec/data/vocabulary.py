"""The original ids of users or items, and the index of each."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from functools import cached_property


class Vocabulary(Sequence[str]):
    """Original ids in the order of their indices; immutable.

    Example:
        >>> ids = Vocabulary("item", ["mug", "lamp"])
        >>> ids[1], ids.index_of("lamp")
        ('lamp', 1)

    Raises:
        ValueError: two entries have the same id.
    """

    def __init__(self, kind: str, ids: Sequence[str]) -> None:
        self.kind = kind
        self._ids = tuple(ids)
        if len(self._indices) != len(self._ids):
            raise ValueError(
                f"{kind} ids must be unique, but {len(self._ids) - len(self._indices)} of "
                f"{len(self._ids)} repeat; give every {kind} its own id"
            )

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self._ids)}

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        return self._ids[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __contains__(self, name: object) -> bool:
        return name in self._indices

    def index_of(self, name: str) -> int:
        """Return the index of an id.

        Raises:
            KeyError: there is no such id; the message names the most similar ones.
        """
        if name in self._indices:
            return self._indices[name]
        if not self._ids:
            raise KeyError(f"{self.kind} {name!r} is not known: all {self.kind}s were left out")
        near = difflib.get_close_matches(name, self._ids[:100_000], n=3, cutoff=0.5) or list(self._ids[:3])
        raise KeyError(
            f"{self.kind} {name!r} is not in the data set of {len(self)} {self.kind}s; "
            f"ids look like {', '.join(map(repr, near))}"
        )
