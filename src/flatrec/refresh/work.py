"""One run of the nightly job: its settings, its delivery, and the generation that it makes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.refresh.newest_days import experiment_of, newest_days
from flatrec.refresh.settings import RefreshSettings
from flatrec.refresh.state import State, read_state, write_state
from flatrec.refresh.store import CANDIDATE, FINAL, Store
from flatrec.training import Callback
from flatrec.utils.integrity import digest

logger = logging.getLogger(__name__)


def no_callbacks(_: str) -> Sequence[Callback]:
    """Return no callback for a run of this title."""
    return ()


@dataclass
class Work:
    """What the steps of a run share; only ``state`` changes.

    Args:
        settings: the settings of the job.
        store: the folder of the recommenders.
        dataset: the delivery, all of its interactions in one split.
        state: the record of the generation.
        accept: whether the delivery is accepted whatever the checks say.
        now: the present time, in Unix seconds.
        callbacks: returns the callbacks of a training run, given its title.
    """

    settings: RefreshSettings
    store: Store
    dataset: Dataset
    state: State
    accept: bool = False
    now: int = 0
    callbacks: Callable[[str], Sequence[Callback]] = field(default=no_callbacks)

    @property
    def folder(self) -> Path:
        """The folder of the generation."""
        return self.store.folder(self.state.number)

    @property
    def candidate(self) -> Path:
        """The folder of the run without the newest days."""
        return self.folder / CANDIDATE

    @property
    def final(self) -> Path:
        """The folder of the run on all interactions."""
        return self.folder / FINAL

    @cached_property
    def in_use(self) -> State | None:
        """The record of the generation in use when this one began; None if there was none, or it cannot be read."""
        if self.state.in_use is None:
            return None
        try:
            return read_state(self.store.folder(self.state.in_use))
        except (FileNotFoundError, ValueError) as error:
            logger.warning("%s", error)
            return None

    @cached_property
    def split(self) -> Dataset:
        """The delivery, its newest days in the test split.

        The test begins after all that the candidate of the generation in use was trained on.
        """
        before = self.in_use.comparison if self.in_use is not None else None
        return newest_days(
            self.dataset, self.settings.compare, not_before=before["trained_until"] if before is not None else None
        )

    @cached_property
    def experiment(self) -> Experiment:
        """The settings of the run without the newest days."""
        return experiment_of(self.settings.train, self.split, self.settings.compare)

    def save(self) -> None:
        """Write the record of the generation.

        Raises:
            OSError: its folder cannot be written to.
        """
        write_state(self.folder, self.state)


def settings_digest(settings: RefreshSettings) -> str:
    """Return the digest of the settings that decide what is trained and compared."""
    tree = {
        "train": settings.train.as_dict(),
        "compare": settings.compare.as_dict(),
        "warm_start": settings.warm_start,
    }
    if settings.events is not None:
        tree["events"] = settings.events.as_dict()
    return digest(json.dumps(tree, sort_keys=True, default=str))
