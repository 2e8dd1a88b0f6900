"""What a language model says of users and items beside their features: profiles, attributes, suggested pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Int, Int64, Shaped
from numpy import ndarray

from flatrec.data.features import Features
from flatrec.data.interactions import SPLITS, Interactions, read_only

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
        shown: the interactions, by user and item index, that the language model was shown; None if it is not known.

    Raises:
        ValueError: attributes differ in their width or number of items, or suggestions or shown are no pairs.

    Example:
        >>> Augmentation(suggestions=np.array([[3, 0], [-1, -1]])).is_suggested.tolist()
        [True, False]
    """

    profiles: Features | None = None
    attributes: Mapping[str, Features] = field(default_factory=dict)
    suggestions: Shaped[ndarray, "..."] | None = None
    shown: Shaped[ndarray, "..."] | None = None

    def __post_init__(self) -> None:
        shapes = {name: one.values.shape for name, one in self.attributes.items()}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"attributes must be vectors of one width for the same items, but have shapes {shapes}")
        object.__setattr__(self, "attributes", MappingProxyType(dict(sorted(self.attributes.items()))))
        self._lock_pairs("suggestions", "suggestions must be a liked and a disliked item per user")
        self._lock_pairs("shown", "shown must be a user and an item per interaction")

    def _lock_pairs(self, name: str, expected: str) -> None:
        pairs: ndarray | None = getattr(self, name)
        if pairs is None:
            return
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise ValueError(f"{expected}, by index, but have shape {pairs.shape} and type {pairs.dtype}")
        object.__setattr__(self, name, read_only(pairs, np.dtype(np.int64)))

    def __reduce__(self) -> tuple[type[Augmentation], tuple[object, ...]]:
        """Travel to another process as what the constructor takes."""
        return Augmentation, (self.profiles, dict(self.attributes), self.suggestions, self.shown)

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
        if self.shown is not None and ((self.shown < 0).any() or (self.shown >= np.array([n_users, n_items])).any()):
            raise ValueError(f"shown must be indices of {n_users} users and {n_items} items, but some are others")
        if self.suggestions is None:
            return
        if len(self.suggestions) != n_users:
            raise ValueError(f"suggestions has {len(self.suggestions)} rows, the data set has {n_users} users")
        if self.suggestions.size and not NOBODY <= self.suggestions.min() <= self.suggestions.max() < n_items:
            raise ValueError(
                f"suggestions must be item indices below {n_items}, or -1 for none, but lie in "
                f"[{self.suggestions.min()}, {self.suggestions.max()}]"
            )

    def check_split(self, interactions: Interactions) -> None:
        """Make sure that the language model was shown no interaction that a model is scored by.

        Raises:
            ValueError: it was shown interactions that are validation or test interactions now.
        """
        if self.shown is None:
            return
        train, *held_out = (interactions.flat_indices(*interactions.indices(split)) for split in SPLITS)
        shown = interactions.flat_indices(*self.shown.T)
        if count := int(np.isin(shown, np.setdiff1d(np.concatenate(held_out), train)).sum()):
            raise ValueError(
                f"the language model was shown {count} of the interactions that are validation or test ones in this "
                "split, so that scores would be too good; train with the split that flatrec augment was run with, or "
                "run it again with this one and --overwrite"
            )

    def reindexed(self, users: Int[ndarray, "n_new_users"], items: Int[ndarray, "n_new_items"]) -> Augmentation:
        """Return the same for other users and items, given the former index of each, -1 for a new one.

        A pair whose items are not both there is left out, and so is a shown interaction without its user or item.
        """
        suggestions, shown = None, None
        if self.suggestions is not None:
            index = _new_indices(items, self.suggestions)
            suggestions = index[np.where(users[:, None] >= 0, self.suggestions[users], NOBODY)]
        if self.shown is not None:
            columns = [_new_indices(rows, self.shown)[self.shown[:, n]] for n, rows in enumerate((users, items))]
            shown = np.stack(columns, axis=1)
            shown = shown[(shown >= 0).all(axis=1)]
        return Augmentation(
            None if self.profiles is None else _rows(self.profiles, users),
            {name: _rows(one, items) for name, one in self.attributes.items()},
            suggestions,
            shown,
        )

    def digested(self) -> Iterator[str | ndarray]:
        """Yield what a fingerprint of the data covers: what a model is trained on."""
        for name, one in (("profiles", self.profiles), *self.attributes.items()):
            if one is not None:
                yield from (f"augmentation {name}", one.values, one.present)
        if self.suggestions is not None:
            yield from ("augmentation suggestions", self.suggestions)


def _rows(features: Features, rows: Int[ndarray, "n_rows"]) -> Features:
    known: Int64[ndarray, "n_rows"] = np.maximum(rows, 0)
    return Features(features.values[known], features.present[known] & (rows >= 0))


def _new_indices(rows: Int[ndarray, "n_new"], old: Int64[ndarray, "n two"]) -> Int64[ndarray, "n_old"]:
    """Return the new index of each former one that may be in ``old``, -1 for one that is gone; the last entry is -1."""
    index = np.full(int(max(rows.max(initial=0), old.max(initial=0))) + 2, NOBODY)
    index[rows[::-1]] = np.arange(len(rows))[::-1]  # of several copies the first
    index[NOBODY] = NOBODY
    return index
