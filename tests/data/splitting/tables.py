"""A table of twelve events, small enough to be split by hand, and how a split of it is read."""

from datetime import UTC, datetime

import polars as pl

from flatrec.config import SplitSettings
from flatrec.data.builder import EventSettings, build_dataset
from flatrec.data.interactions import SPLITS

#         day user item
TWELVE = (
    (1, "u", "a"), (2, "v", "b"), (3, "u", "b"), (4, "w", "a"), (4, "u", "c"), (5, "v", "a"),
    (6, "u", "d"), (6, "v", "c"), (7, "w", "b"), (8, "u", "e"), (9, "v", "d"), (10, "w", "c"),
)  # fmt: skip


def moment(day):
    return int(datetime(2024, 1, day, tzinfo=UTC).timestamp())


def data_set(rows=TWELVE, *, settings=None, repeat=False, half_life=None, weigh_quantities=False, **columns):
    days, users, items = zip(*rows, strict=True)
    frame = pl.DataFrame({"user": users, "item": items, "timestamp": [moment(day) for day in days], **columns})
    events = EventSettings(repeat=repeat, half_life=half_life, weigh_quantities=weigh_quantities)
    return build_dataset("twelve", frame, settings=SplitSettings(**(settings or {})), events=events)


def parts(dataset):
    """The interactions of each split, such as ``ua vb``."""
    interactions = dataset.interactions
    return [
        " ".join(
            sorted(
                dataset.users[user] + dataset.items[item]
                for user, item in zip(*(indices.tolist() for indices in interactions.indices(split)), strict=True)
            )
        )
        for split in SPLITS
    ]
