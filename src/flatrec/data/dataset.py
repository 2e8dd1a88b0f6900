"""The one in-memory data set that everything else reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy import ndarray

from flatrec.data.cleaning import CleaningReport as CleaningReport
from flatrec.data.features import Features
from flatrec.data.interactions import SPLITS, Interactions, Split
from flatrec.data.vocabulary import Vocabulary
from flatrec.utils.integrity import digest


@dataclass(frozen=True, eq=False)
class Dataset:
    """Users, items, their pairs in three parts, and item features by modality; immutable.

    Args:
        name: how reports call it.
        interactions: the pairs by number.
        users: original ids, in the order of the numbers.
        items: original ids, in the order of the numbers.
        features: features by modality name, e.g. ``image``, ``text``; may be empty.
        titles: a readable name an item, where the source has one.
        images: an image file an item (None where it has none), where the source has them.
        repairs: what reading changed.
        source: where it can be read again, where it was read from somewhere.

    Raises:
        ValueError: there is no user or no item, or the parts do not have the same number of users or items.
    """

    name: str
    interactions: Interactions
    users: Vocabulary
    items: Vocabulary
    features: Mapping[str, Features] = field(default_factory=dict)
    titles: tuple[str, ...] | None = None
    images: tuple[Path | None, ...] | None = None
    repairs: CleaningReport = field(default_factory=CleaningReport)
    source: str | None = None

    def __post_init__(self) -> None:
        if self.n_users < 1 or self.n_items < 1:
            raise ValueError(
                f"a data set has at least one user and one item, but {self.name!r} has {self.n_users} users and "
                f"{self.n_items} items; give it at least one pair"
            )
        if len(self.users) != self.n_users:
            raise ValueError(f"{len(self.users)} user ids for {self.n_users} users; give one a user")
        sizes = {"item ids": len(self.items)}
        sizes |= {f'features["{name}"]': len(one.values) for name, one in self.features.items()}
        sizes |= {"titles": len(self.titles)} if self.titles is not None else {}
        sizes |= {"images": len(self.images)} if self.images is not None else {}
        for what, size in sizes.items():
            if size != self.n_items:
                raise ValueError(
                    f"{what} has {size} rows, the data set has {self.n_items} items; "
                    "align them with flatrec.data.features.aligned"
                )
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))

    @property
    def n_users(self) -> int:
        """Number of users."""
        return self.interactions.n_users

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.interactions.n_items

    @cached_property
    def fingerprint(self) -> str:
        """A digest of pairs, split, ids and features: equal digests mean equal data."""
        pairs = self.interactions
        order = np.argsort(pairs.keys(pairs.users, pairs.items))
        columns = [column[order] for column in (pairs.users, pairs.items, pairs.splits)]
        rows = [
            part
            for name in sorted(self.features)
            for part in (name, self.features[name].values, self.features[name].present)
        ]
        return digest(*_delimited(self.users), *_delimited(self.items), *columns, *rows)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know of the data before anything is learned from them, one plain sentence each."""
        return (*self.repairs.sentences(), *filter(None, (self._untrained(part) for part in SPLITS[1:])))

    def _untrained(self, part: Split) -> str:
        count, scored = len(self.interactions.untrained(part)), len(np.unique(self.interactions.indices(part)[0]))
        if not count:
            return ""
        return (
            f"{count} of the {scored} users with a {part} pair have no training pair: nothing is known of them, but "
            "the metrics are means over them as well, as the definition has it"
        )

    def with_features(self, features: Mapping[str, Features]) -> Dataset:
        """The same data set with other features, e.g. noisy or shuffled ones."""
        return replace(self, features=dict(features))


def _delimited(ids: Vocabulary) -> tuple[ndarray, bytes]:
    """Ids as bytes and the length of each: no two lists have both in common."""
    names = list(ids)
    lengths = np.fromiter(map(len, names), dtype=np.int64, count=len(names))
    return lengths, "".join(names).encode("utf-8", "surrogatepass")
