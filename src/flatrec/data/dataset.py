"""The one in-memory data set that everything else reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.augmentation import Augmentation
from flatrec.data.cleaning import CleaningReport as CleaningReport
from flatrec.data.features import Features
from flatrec.data.groups import Groups
from flatrec.data.interactions import SPLITS, Interactions, Split
from flatrec.data.item_columns import check_names
from flatrec.data.log import InteractionLog, log_of
from flatrec.data.released_negatives import ReleasedNegatives
from flatrec.data.splitting import SplitDescription, SplitReport, split_log, summarize_split
from flatrec.data.vocabulary import Vocabulary
from flatrec.utils.integrity import digest

if TYPE_CHECKING:
    import polars as pl

    from flatrec.data.formats.table import TableSettings
    from flatrec.data.frames.reading import FeatureInput
    from flatrec.data.frames.tables import Frame


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Users, items, their interactions in three splits, and item features by modality; immutable.

    Args:
        name: the name of the data set in reports.
        interactions: the interactions by index.
        users: original user ids, in the order of the indices.
        items: original item ids, in the order of the indices.
        features: features by modality name, e.g. ``image``, ``text``; may be empty.
        titles: one readable name per item, where the source has them.
        images: one image file per item (None for an item without), where the source has them.
        item_columns: further columns of items, such as prices and categories, one row per item, where the source has
            them; the fingerprint does not include them.
        cleaning_report: what reading changed or left out.
        split_report: how the interactions were split, and what that left out.
        log: the events from which the interactions were summed, if these do not tell them, so that they can be split
            again; None if each interaction is one event.
        source: the path from which it was read; None if it was built in memory.
        augmentation: what a language model says of users and items, where there is any.
        groups: which users are groups, and who their members are; None if all users are persons.
        released_negatives: the items among which sampled metrics rank each test interaction, if the data were published
            with some; the fingerprint does not include them.

    Raises:
        ValueError: there is no user or no item, or ids, features, titles, images, item columns, augmentation or groups
            do not fit the numbers of users and items.
    """

    name: str
    interactions: Interactions
    users: Vocabulary
    items: Vocabulary
    features: Mapping[str, Features] = field(default_factory=dict)
    titles: tuple[str, ...] | None = None
    images: tuple[Path | None, ...] | None = None
    item_columns: pl.DataFrame | None = None
    cleaning_report: CleaningReport = field(default_factory=CleaningReport)
    split_report: SplitReport = field(default_factory=SplitReport)
    log: InteractionLog | None = None
    source: str | None = None
    augmentation: Augmentation | None = None
    groups: Groups | None = None
    released_negatives: ReleasedNegatives | None = None

    def __post_init__(self) -> None:
        if self.n_users < 1 or self.n_items < 1:
            raise ValueError(
                f"a data set has at least one user and one item, but {self.name!r} has {self.n_users} users and "
                f"{self.n_items} items; give it at least one interaction"
            )
        if len(self.users) != self.n_users:
            raise ValueError(f"{len(self.users)} user ids for {self.n_users} users; give one id per user")
        sizes = {"item ids": len(self.items)}
        sizes |= {f'features["{name}"]': len(features.values) for name, features in self.features.items()}
        sizes |= {"titles": len(self.titles)} if self.titles is not None else {}
        sizes |= {"images": len(self.images)} if self.images is not None else {}
        sizes |= {"item_columns": len(self.item_columns)} if self.item_columns is not None else {}
        if self.item_columns is not None:
            check_names(self.item_columns.columns, self.name)
        for what, size in sizes.items():
            if size != self.n_items:
                raise ValueError(
                    f"{what} has {size} rows, the data set has {self.n_items} items; "
                    "align them with flatrec.data.features.align"
                )
        if self.augmentation is not None:
            self.augmentation.check(self.n_users, self.n_items)
        if self.groups is not None and self.groups.n_users != self.n_users:
            raise ValueError(
                f"groups are for {self.groups.n_users} users, the data set has {self.n_users}; make them for its users"
            )
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))

    @classmethod
    def from_frames(
        cls,
        interactions: Frame,
        items: Frame | None = None,
        features: Mapping[str, FeatureInput] | None = None,
        *,
        groups: tuple[Frame, Frame] | None = None,
        columns: TableSettings | None = None,
        split: SplitSettings | None = None,
        name: str = "frames",
    ) -> Dataset:
        """Build a data set from frames in memory, which gives the same data set as reading the same tables from files.

        A frame is one of polars (a lazy one too), pandas or pyarrow, or any other object with Arrow's PyCapsule
        interface, such as a relation of duckdb.

        Args:
            interactions: one row per event.
            items: one row per item: ids, titles, image files, and other columns that ``columns`` names.
            features: features by modality: a frame with a column of item ids; a pair of ids and an array of NumPy or
                a tensor; an array alone, with its rows in the order of ``items``; or the path of a file of features.
            groups: if some users are groups, the two of (members, interactions): one row per membership, and one row
                per event of a group, with the columns of ``interactions`` but a column of groups for that of users.
            columns: which columns mean what, as a ``dataset.toml`` says it; files are left out. By default columns are
                recognized by their names, such as ``user``, ``item`` and ``split``.
            split: how to split the interactions; what is left out is as ``columns`` says.
            name: the name of the data set in reports, unless ``columns`` has one.

        Raises:
            TypeError: something is neither a frame nor an array.
            ValueError: a column is missing or malformed, or the frames do not fit one another.
            FileNotFoundError: an image or a file of features does not exist.

        Example:
            >>> import polars as pl
            >>> clicks = pl.DataFrame({"user": ["a", "a", "b"], "item": [1, 2, 2], "split": ["train", "test", "train"]})
            >>> Dataset.from_frames(clicks, name="clicks")
            Dataset clicks: 2 users, 2 items, 3 interactions (train 2, valid 0, test 1)
        """
        from flatrec.data.frames.reading import read_frames

        return read_frames(interactions, items, features or {}, groups, columns=columns, split=split, name=name)

    def to_frame(self) -> pl.DataFrame:
        """Return the interactions with their original ids, a row for each: ``user``, ``item`` and ``split``.

        Before ``split``, there are ``timestamp``, in Unix seconds, and ``weight`` if the data set has these.
        Interactions are summed events: the events themselves, and items without an interaction, are not in the frame.
        """
        from flatrec.data.split_table import split_table

        return split_table(self)

    def items_frame(self) -> pl.DataFrame:
        """Return the items in the order of their indices.

        The columns are ``item``, ``title`` and ``image`` if there are any, and the item columns.
        """
        from flatrec.data.frames.writing import items_frame

        return items_frame(self)

    def features_frame(self, modality: str) -> pl.DataFrame:
        """Return the items that have a modality: ``item``, and a column of vectors named like the modality.

        Raises:
            ValueError: the data set has no such modality.
        """
        from flatrec.data.frames.writing import features_frame

        return features_frame(self, modality)

    def __repr__(self) -> str:
        from flatrec.data.frames.display import describe

        return describe(self)

    def _repr_html_(self) -> str:
        from flatrec.display.dataset import describe_html

        return describe_html(self)

    def __reduce__(self) -> tuple[Callable[..., Dataset], tuple[()]]:
        """Travel to another process as what the constructor takes."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return partial(Dataset, **{**values, "features": dict(self.features)}), ()

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
        """The digest of interactions, splits, ids, features, augmentation and groups; equal data have equal digests."""
        interactions = self.interactions
        order = np.lexsort((interactions.splits, interactions.flat_indices(interactions.users, interactions.items)))
        optional = [column for column in (interactions.timestamps, interactions.weights) if column is not None]
        columns = [column[order] for column in (interactions.users, interactions.items, interactions.splits, *optional)]
        rows = [
            value
            for name in sorted(self.features)
            for value in (name, self.features[name].values, self.features[name].present)
        ]
        rows += [self.groups.matrix().indptr, self.groups.matrix().indices] if self.groups is not None else []
        said = () if self.augmentation is None else tuple(self.augmentation.digested())
        return digest(*_delimited(self.users), *_delimited(self.items), *columns, *rows, *said)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know about the data before training, one sentence each."""
        return (
            *self.cleaning_report.sentences(),
            *self.split_report.sentences(),
            *filter(None, (self._users_without_training(split) for split in SPLITS[1:])),
            *filter(None, (self._items_without_training(split) for split in SPLITS[1:])),
            *([self._negatives_left_out()] if self.released_negatives and self.released_negatives.n_left_out else []),
        )

    def _negatives_left_out(self) -> str:
        assert self.released_negatives is not None
        n_left_out = self.released_negatives.n_left_out
        return (
            f"{n_left_out} of {n_left_out + len(self.released_negatives.negatives)} released negatives are items "
            "without an interaction, which are no items of the data set: they are left out, and their lists are shorter"
        )

    def _users_without_training(self, split: Split) -> str:
        count = len(self.interactions.users_without_training(split))
        scored = len(np.unique(self.interactions.indices(split)[0]))
        if not count:
            return ""
        return (
            f"{count} of the {scored} users with a {split} interaction have no training interaction: the model cannot "
            "learn anything about them, and evaluation.unknown_users says whether they are scored"
        )

    def _items_without_training(self, split: Split) -> str:
        count = len(self.interactions.items_without_training(split))
        scored = len(np.unique(self.interactions.indices(split)[1]))
        if not count:
            return ""
        return (
            f"{count} of the {scored} items with a {split} interaction have no training interaction: a model knows "
            "nothing of them but their features, yet they are ranked, and count as hits, like all others"
        )

    @cached_property
    def split_description(self) -> SplitDescription:
        """The settings of the split, and the size and dates of its parts."""
        return summarize_split(self.interactions, self.split_report)

    def split_again(self, settings: SplitSettings) -> Dataset:
        """Return the same data with another split.

        Settings that are left out stay as they are, unless another method is named. If the data are split in this way
        already, they are returned as they are.

        Raises:
            ValueError: a setting does not belong to the method, or the data cannot be split so.
        """
        before = self.split_report
        merged = settings.over(before.settings)
        if merged == before.settings:
            return self
        log = self.log or log_of(self.interactions, given=before.given)
        interactions, report = split_log(log, merged, self.name)
        report = replace(report, requested=report.settings)
        return replace(self, interactions=interactions, split_report=report, log=log)

    def with_interactions(self, interactions: Interactions) -> Dataset:
        """Return the same data set with other interactions, which are what a later split begins with."""
        return replace(self, interactions=interactions, log=None)

    def with_features(self, features: Mapping[str, Features]) -> Dataset:
        """Return the same data set with other features, e.g. noisy or shuffled ones."""
        return replace(self, features=dict(features))


def _delimited(ids: Vocabulary) -> tuple[ndarray, bytes]:
    """Return the length of each id and all ids as bytes: together they tell any two lists apart."""
    names = list(ids)
    lengths = np.fromiter(map(len, names), dtype=np.int64, count=len(names))
    return lengths, "".join(names).encode("utf-8", "surrogatepass")
