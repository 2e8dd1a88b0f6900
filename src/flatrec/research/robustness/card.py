"""Robustness cards: what a recommender scores under each disturbance, over several draws."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from flatrec._version import __version__
from flatrec.evaluation.significance import spread
from flatrec.research.analysis.perturbation import relative_drop
from flatrec.research.robustness.registry import DISTURBANCES
from flatrec.research.robustness.subject import Subject
from flatrec.research.robustness.target import TargetHits
from flatrec.utils.atomic_write import write_text

FILE = "robustness.json"
NOT_RETRAINED = "it is trained again for this kind, which takes --retrain"


@dataclass(frozen=True)
class Level:
    """Scores under one disturbance.

    Args:
        kind: name of the disturbance.
        level: how strong it is, as a fraction.
        draws: metrics of each draw.
        targets: hit rates of the item that each draw pushes; empty if none is pushed.
    """

    kind: str
    level: float
    draws: tuple[Mapping[str, float], ...]
    targets: tuple[TargetHits, ...] = ()

    def values(self, metric: str) -> tuple[float, ...]:
        """Return a metric of each draw for which it is defined."""
        return tuple(draw[metric] for draw in self.draws if metric in draw)

    def drop(self, metric: str, undisturbed: Mapping[str, float]) -> float | None:
        """Return the relative drop of the mean over draws; None where there was nothing to lose."""
        values, before = self.values(metric), undisturbed[metric]
        return relative_drop(before, spread(values)[0]) if values and before > 0 else None

    def target_hits(self, name: str) -> tuple[float, float] | None:
        """Return the mean hit rates of the pushed items before and after, such as ``hit_rate@10``; None without any."""
        pairs = [(one.before[name], one.after[name]) for one in self.targets if name in one.before]
        return (fmean(before for before, _ in pairs), fmean(after for _, after in pairs)) if pairs else None


@dataclass(frozen=True)
class RobustnessCard:
    """How much a recommender loses under each disturbance.

    Args:
        name: name of the recommender.
        data: name of the data set.
        fingerprint: fingerprint of the data set.
        split: split that is scored.
        seed: seed of all disturbances.
        undisturbed: metrics without any disturbance.
        levels: scores by kind and level.
        left_out: kinds that were not measured, with the reason.
    """

    name: str
    data: str
    fingerprint: str
    split: str
    seed: int
    undisturbed: Mapping[str, float]
    levels: tuple[Level, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return all of it, with means, deviations and drops, as JSON has it."""
        return {
            "format": "flatrec robustness",
            "written_by": __version__,
            "recommender": self.name,
            "data": {"name": self.data, "fingerprint": self.fingerprint, "split": self.split},
            "seed": self.seed,
            "undisturbed": dict(self.undisturbed),
            "levels": [self._level(one) for one in self.levels],
            "left_out": dict(self.left_out),
        }

    def _level(self, one: Level) -> dict[str, Any]:
        metrics = {}
        for metric in self.undisturbed:
            if values := one.values(metric):
                mean, deviation = spread(values)
                drop = one.drop(metric, self.undisturbed)
                metrics[metric] = {"mean": mean, "deviation": deviation, "drop": drop, "draws": list(values)}
        targets = [asdict(target) for target in one.targets]
        return {"kind": one.kind, "level": one.level, "metrics": metrics, **({"targets": targets} if targets else {})}


def measure(
    subject: Subject,
    *,
    draws: int = 5,
    retrain: bool = False,
    seed: int = 0,
    more_levels: Sequence[tuple[str, float]] = (),
    on_level: Callable[[str, float], None] | None = None,
) -> RobustnessCard:
    """Measure every kind of disturbance that applies.

    Args:
        subject: the recommender and its data.
        draws: number of draws at each level; kinds that train again are drawn once.
        retrain: whether kinds are measured that train the recommender again.
        seed: seed of all disturbances.
        more_levels: levels beside those of each kind, such as those of gates.
        on_level: called with a kind and a level before they are measured.

    Raises:
        ValueError: there is no draw, a kind of ``more_levels`` cannot be measured, or there is nothing to score.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, but is {draws}")
    left_out = _left_out(subject, retrain=retrain)
    for name, _ in more_levels:  # before anything is measured
        if name in left_out:
            raise ValueError(f"{name} cannot be measured, as {left_out[name]}; leave it out")
    levels: list[Level] = []
    for name, kind in DISTURBANCES.items():
        more = {level for other, level in more_levels if other == name}
        for level in sorted({*kind.LEVELS, *more}) if name not in left_out else ():
            if on_level is not None:
                on_level(name, level)
            numbers = range(1 if kind.RETRAINS else draws)
            outcomes = [kind.outcome(subject, level, seed, draw) for draw in numbers]
            targets = tuple(one.target for one in outcomes if one.target is not None)
            levels.append(Level(name, level, tuple(one.metrics for one in outcomes), targets))
    undisturbed = subject.scores(subject.scoring)
    data = subject.dataset
    return RobustnessCard(
        subject.name, data.name, data.fingerprint, subject.split, seed, undisturbed, tuple(levels), left_out
    )


def _left_out(subject: Subject, *, retrain: bool) -> dict[str, str]:
    reasons = {
        name: kind.reason(subject) or (NOT_RETRAINED if kind.RETRAINS and not retrain else "")
        for name, kind in DISTURBANCES.items()
    }
    return {name: reason for name, reason in reasons.items() if reason}


def write_card(folder: Path, content: Mapping[str, Any]) -> None:
    """Write a card into a folder, as ``robustness.json``.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / FILE, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
