"""The state of training after an epoch, and how an evaluation changes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from flatrec.config import Training
from flatrec.training.checkpoint import ADVICE, Checkpoint
from flatrec.training.records import EpochRecord


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class Progress:
    """The state of training after an epoch, besides tensors; a checkpoint holds it."""

    epoch: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    best_tie_breaker: float | None = None  # the best epoch's NDCG at the same K, where it was measured
    bad_epochs: int = 0  # evaluations in a row without a better epoch
    consecutive_nonfinite: int = 0  # skipped steps in a row
    stopped: bool = False


class Score(NamedTuple):
    """What decides between evaluations: the monitored metric, then the tie-breaker."""

    monitor: float | None
    tie_breaker: float | None

    def is_better(self, than: Score, *, higher_is_better: bool) -> bool:
        """Return True if this is better; anything is better than no score."""
        if self.monitor is None or than.monitor is None:
            return than.monitor is None
        if self.monitor != than.monitor:
            return (self.monitor > than.monitor) == higher_is_better
        return self.tie_breaker is not None and than.tie_breaker is not None and self.tie_breaker > than.tie_breaker


def score_of(valid: Mapping[str, float], settings: Training) -> Score:
    """Return the score of one evaluation.

    Raises:
        KeyError: the monitored metric is not among the metrics.
    """
    return Score(valid[settings.monitor], valid.get(settings.tie_breaker))


def windowed(evaluations: Sequence[Mapping[str, float]], settings: Training) -> Score:
    """Return the mean score of the last ``monitor_window`` evaluations, or of all if there are fewer; at least one.

    The tie-breaker is None if an evaluation lacks it.
    """
    scores = [score_of(valid, settings) for valid in evaluations[-settings.monitor_window :]]
    tie_breakers = [score.tie_breaker for score in scores if score.tie_breaker is not None]
    return Score(
        fmean(score.monitor for score in scores if score.monitor is not None),
        fmean(tie_breakers) if len(tie_breakers) == len(scores) else None,
    )


def judged(
    progress: Progress,
    epoch: int,
    evaluations: Sequence[Mapping[str, float]],
    settings: Training,
    *,
    higher_is_better: bool,
) -> Progress:
    """Return the progress after an epoch that was evaluated, by the metrics of all evaluations so far.

    With fewer than ``monitor_window`` of them the epoch is not judged, unless training ends with it.
    """
    if len(evaluations) < settings.monitor_window and epoch < settings.epochs:
        return replace(progress, epoch=epoch)
    score = windowed(evaluations, settings)
    best = Score(progress.best_score, progress.best_tie_breaker)
    if score.is_better(best, higher_is_better=higher_is_better):
        return replace(
            progress,
            epoch=epoch,
            best_epoch=epoch,
            best_score=score.monitor,
            best_tie_breaker=score.tie_breaker,
            bad_epochs=0,  # also where the tie-breaker alone is better: there is a new best epoch
        )
    bad_epochs = progress.bad_epochs + 1
    return replace(progress, epoch=epoch, bad_epochs=bad_epochs, stopped=bad_epochs >= settings.patience)


def without_early_best(progress: Progress, records: Sequence[EpochRecord], settings: Training) -> Progress:
    """Return the progress of a run that goes on past the epochs it was to have, as if it were to have them all along.

    An epoch that was judged by fewer evaluations than ``monitor_window``, because training ended with it, is not the
    best of a longer run.
    """
    few = sum(bool(record.valid) for record in records) < settings.monitor_window
    if settings.select == "last" or not few or progress.epoch >= settings.epochs:
        return progress
    return replace(progress, best_epoch=0, best_score=None, best_tie_breaker=None)


def progress_of(saved: Checkpoint, path: Path) -> Progress:
    """Return the progress that a checkpoint holds.

    Raises:
        ValueError: it is none, or an impossible one.
    """
    try:
        progress = TypeAdapter(Progress).validate_json(json.dumps(saved.metadata.get("progress")), strict=True)
        if (
            0 <= progress.best_epoch <= progress.epoch
            and progress.bad_epochs >= 0
            and progress.consecutive_nonfinite >= 0
        ):
            return progress
        reason = "its epochs are out of order"
    except ValidationError as error:
        reason = error.errors()[0]["msg"].lower()
    raise ValueError(f"{path} holds an impossible state of training ({reason}); {ADVICE}") from None
