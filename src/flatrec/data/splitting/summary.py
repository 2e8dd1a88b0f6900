"""The key figures of a split: its settings, and the size and dates of training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from flatrec.config.split import SplitSettings
from flatrec.data.interactions import SPLITS, Interactions, Split
from flatrec.data.splitting.report import SplitReport
from flatrec.utils.moments import as_date_time


@dataclass(frozen=True)
class SplitFigures:
    """Training, validation or test in numbers.

    Args:
        interactions: number of interactions.
        users: number of users with one.
        items: number of items with one.
        users_without_training: number of these users without a training interaction.
        items_without_training: number of these items without a training interaction.
        first: date and time of the first interaction, in UTC; None without times or interactions.
        last: the same of the last one.
    """

    interactions: int
    users: int
    items: int
    users_without_training: int
    items_without_training: int
    first: str | None
    last: str | None


@dataclass(frozen=True)
class SplitDescription:
    """How a data set is split, for ``result.json`` and for commands.

    Args:
        settings: the settings as used, with defaults, and with the dates in UTC at which splits begin and end.
        splits: figures of each split.
        repeats: number of validation and test interactions with an item that the user has in an earlier split.
        repeats_stay: whether these stay; else they were dropped.
        late: number of events after the end of the test split, which were left out.
    """

    settings: SplitSettings
    splits: Mapping[Split, SplitFigures]
    repeats: int
    repeats_stay: bool
    late: int

    def as_dict(self) -> dict[str, object]:
        """Return plain nested values for ``json.dumps``."""
        return {
            **self.settings.given,
            **{split: asdict(figures) for split, figures in self.splits.items()},
            "repeats": self.repeats,
            "repeats_stay": self.repeats_stay,
            "left_out_after_test": self.late,
        }


def summarize_split(interactions: Interactions, report: SplitReport) -> SplitDescription:
    """Count and date the splits of a data set. O(interactions log interactions)."""
    splits = {split: _figures(interactions, split) for split in SPLITS}
    return SplitDescription(report.resolved, splits, report.repeats, report.repeats_stay, report.late)


def _figures(interactions: Interactions, split: Split) -> SplitFigures:
    users, items = interactions.indices(split)
    times = None if interactions.timestamps is None else interactions.timestamps[interactions.mask(split)]
    return SplitFigures(
        len(users),
        len(np.unique(users)),
        len(np.unique(items)),
        len(interactions.users_without_training(split)),
        len(interactions.items_without_training(split)),
        None if times is None or not len(times) else as_date_time(int(times.min())),
        None if times is None or not len(times) else as_date_time(int(times.max())),
    )
