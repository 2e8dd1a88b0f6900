"""What a language model says of users and items beside their features: profiles, attributes, suggested pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Int, Int64, Shaped
from numpy import ndarray

from flatrec.data.features import Features
from flatrec.data.interactions import read_only

NOBODY = -1  # in place of an item that was not suggested


@dataclass(frozen=True, eq=False)
class Augmentation:
    """Vectors of users and of items, and for each user an item that it may like and one that it may not; immutable.

    Each of the three may be left out. Models that do not ask for them take no notice of them, and they are no
    modalities of the items.

    Args:
        profiles: one vector per user.
        attributes: one vector per item for each attribute, such as ``director``; all of one width.
        suggestions: for each user a liked and a disliked item by index, -1 for none. A user without one of the two has
            none; suggestions are no interactions and enter no graph.

    Raises:
        ValueError: attributes differ in their width or number of items, or suggestions are no pairs.

    Example:
        >>> Augmentation(suggestions=np.array([[3, 0], [-1, -1]])).is_suggested.tolist()
        [True, False]
    """

    profiles: Features | None = None
    attributes: Mapping[str, Features] = field(default_factory=dict)
    suggestions: Shaped[ndarray, "..."] | None = None

    def __post_init__(self) -> None:
        shapes = {name: one.values.shape for name, one in self.attributes.items()}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"attributes must be vectors of one width for the same items, but have shapes {shapes}")
        object.__setattr__(self, "attributes", MappingProxyType(dict(sorted(self.attributes.items()))))
        if self.suggestions is None:
            return
        if self.suggestions.ndim != 2 or self.suggestions.shape[1] != 2 or self.suggestions.dtype.kind not in "iu":
            raise ValueError(
                "suggestions must be a liked and a disliked item per user, by index, but have shape "
                f"{self.suggestions.shape} and type {self.suggestions.dtype}"
            )
        object.__setattr__(self, "suggestions", read_only(self.suggestions, np.dtype(np.int64)))

    def __reduce__(self) -> tuple[type[Augmentation], tuple[object, ...]]:
        """Travel to another process as what the constructor takes."""
        return Augmentation, (self.profiles, dict(self.attributes), self.suggestions)

    @property
    def is_suggested(self) -> Bool[ndarray, "n_users"]:
        """Which users have a pair."""
        assert self.suggestions is not None
        liked, disliked = self.suggestions.T
        suggested: ndarray = (liked >= 0) & (disliked >= 0)
        return suggested

    def check(self, n_users: int, n_items: int) -> None:
        """Make sure that all fits a data set.

        Raises:
            ValueError: another number of rows than users or items, or an item that there is not.
        """
        sizes = [("profiles", self.profiles, n_users, "users")]
        sizes += [(f"attributes[{name!r}]", one, n_items, "items") for name, one in self.attributes.items()]
        for what, features, size, of in sizes:
            if features is not None and len(features.values) != size:
                raise ValueError(f"{what} has {len(features.values)} rows, the data set has {size} {of}; give one each")
        if self.suggestions is None:
            return
        if len(self.suggestions) != n_users:
            raise ValueError(f"suggestions has {len(self.suggestions)} rows, the data set has {n_users} users")
        if self.suggestions.size and not NOBODY <= self.suggestions.min() <= self.suggestions.max() < n_items:
            raise ValueError(
                f"suggestions must be item indices below {n_items}, or -1 for none, but lie in "
                f"[{self.suggestions.min()}, {self.suggestions.max()}]"
            )

    def reindexed(self, users: Int[ndarray, "n_new_users"], items: Int[ndarray, "n_new_items"]) -> Augmentation:
        """Return the same for other users and items, given the former index of each, -1 for a new one.

        A pair whose items are not both there is left out.
        """
        suggestions = None
        if self.suggestions is not None:
            index = np.full(int(max(items.max(initial=0), self.suggestions.max(initial=0))) + 2, NOBODY)
            index[items[::-1]] = np.arange(len(items))[::-1]  # of several copies of an item the first
            index[NOBODY] = NOBODY
            suggestions = index[np.where(users[:, None] >= 0, self.suggestions[users], NOBODY)]
        return Augmentation(
            None if self.profiles is None else _rows(self.profiles, users),
            {name: _rows(one, items) for name, one in self.attributes.items()},
            suggestions,
        )

    def digested(self) -> Iterator[str | ndarray]:
        """Yield what a fingerprint of the data covers."""
        for name, one in (("profiles", self.profiles), *self.attributes.items()):
            if one is not None:
                yield from (f"augmentation {name}", one.values, one.present)
        if self.suggestions is not None:
            yield from ("augmentation suggestions", self.suggestions)


def _rows(features: Features, rows: Int[ndarray, "n_rows"]) -> Features:
    known: Int64[ndarray, "n_rows"] = np.maximum(rows, 0)
    return Features(features.values[known], features.present[known] & (rows >= 0))
