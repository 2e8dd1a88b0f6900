"""The original ids of users or items, and the way back from an id to its number."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from functools import cached_property


class Vocabulary(Sequence[str]):
    """Original ids in the order of their numbers; immutable.

    Example:
        >>> ids = Vocabulary("item", ["mug", "lamp"])
        >>> ids[1], ids.index_of("lamp")
        ('lamp', 1)

    Raises:
        ValueError: two numbers have the same id.
    """

    def __init__(self, kind: str, ids: Sequence[str]) -> None:
        self.kind = kind
        self._ids = tuple(ids)
        if len(self._numbers) != len(self._ids):
            raise ValueError(
                f"{kind} ids must be unique, but {len(self._ids) - len(self._numbers)} of "
                f"{len(self._ids)} repeat; give every {kind} an id of its own"
            )

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self._ids)}

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, number: int) -> str:  # type: ignore[override]
        return self._ids[number]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def index_of(self, name: str) -> int:
        """The number of an id.

        Raises:
            KeyError: there is no such id; the message names the nearest ones.
        """
        if name in self._numbers:
            return self._numbers[name]
        near = difflib.get_close_matches(name, self._ids[:100_000], n=3, cutoff=0.5) or list(self._ids[:3])
        raise KeyError(
            f"{self.kind} {name!r} is not in the data set of {len(self)} {self.kind}s; "
            f"ids look like {', '.join(map(repr, near))}"
        )
