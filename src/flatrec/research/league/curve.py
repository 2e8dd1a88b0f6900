"""The validation curve of a run over its cost: epochs, gradients of batches, and seconds of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean
from typing import NamedTuple

from flatrec.training import EpochRecord


class Point(NamedTuple):
    """One evaluation on validation.

    Args:
        epoch: its number, from 1.
        gradients: gradients of batches that were computed until then.
        seconds: seconds of training until then, without evaluations.
        score: monitored metric of this evaluation alone.
    """

    epoch: int
    gradients: float
    seconds: float
    score: float


@dataclass(frozen=True)
class GradientCount:
    """Gradients of batches over the epochs of a run.

    Args:
        per_step: gradients of a step, on average.
        steps: steps per epoch.
        start_epoch: epochs of plain training before, as ``strategy.start_epoch`` has it.
        plain_per_step: gradients of a step before ``start_epoch``.
    """

    per_step: float
    steps: int
    start_epoch: float = 0.0
    plain_per_step: float = 1.0

    def until(self, epoch: int) -> float:
        """Return the gradients of so many epochs.

        Step n, counted from 0, is plain if n / steps lies below ``start_epoch``.
        """
        n_steps = epoch * self.steps
        n_plain = min(n_steps, math.ceil(self.start_epoch * self.steps))
        return n_plain * self.plain_per_step + (n_steps - n_plain) * self.per_step


@dataclass(frozen=True)
class Curve:
    """The evaluations of a run, in their order.

    Args:
        points: the evaluations.
        window: number of evaluations, up to each one, whose mean is its score in selection.
        higher_is_better: direction of the monitored metric.
    """

    points: tuple[Point, ...]
    window: int = 1
    higher_is_better: bool = True

    def smoothed(self) -> list[float]:
        """Return, for each evaluation, the mean of the last ``window`` scores, or of as many as there are."""
        scores = [point.score for point in self.points]
        return [fmean(scores[max(0, i + 1 - self.window) : i + 1]) for i in range(len(scores))]

    def at(self, epoch: int) -> float:
        """Return the smoothed score of an epoch.

        Raises:
            KeyError: the epoch was not evaluated.
        """
        return dict(zip((point.epoch for point in self.points), self.smoothed(), strict=True))[epoch]

    def best(self, budget: float) -> float | None:
        """Return the best smoothed score that is reached with at most so many gradients; None if there is none."""
        scores = (score for point, score in zip(self.points, self.smoothed(), strict=True) if point.gradients <= budget)
        choose: Callable[..., float | None] = max if self.higher_is_better else min
        return choose(scores, default=None)


def points_of(records: Sequence[EpochRecord], monitor: str, gradients: GradientCount) -> tuple[Point, ...]:
    """Return the evaluations in the records of a run.

    Args:
        records: records of its epochs.
        monitor: metric that is monitored.
        gradients: gradients of its epochs.
    """
    seconds: Iterable[float] = accumulate(record.train_seconds for record in records)
    return tuple(
        Point(record.epoch, gradients.until(record.epoch), round(elapsed, 3), record.valid[monitor])
        for record, elapsed in zip(records, seconds, strict=True)
        if monitor in record.valid
    )
