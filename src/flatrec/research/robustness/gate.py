"""Gates: sentences such as ``recall@10 drops 5% under items=20%``, which fail a card that loses as much."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flatrec.evaluation.metrics import find_metric
from flatrec.research.robustness.card import Level, RobustnessCard
from flatrec.research.robustness.registry import DISTURBANCES
from flatrec.utils.messages import clipped, unknown

_FORM = re.compile(r"(\S+@\d+)\s+drops\s+(\d+(?:\.\d+)?)\s?%\s+under\s+([a-z-]+)\s?=\s?(\d+(?:\.\d+)?)\s?%")
EXAMPLE = '"recall@10 drops 5% under items=20%"'


@dataclass(frozen=True)
class Gate:
    """A bound on how much a metric may lose.

    Args:
        metric: metric, for which higher values are better.
        drop: relative drop, averaged over draws, from which on the gate fails; 0.05 for 5 %.
        kind: name of the disturbance.
        level: level of the disturbance.
    """

    metric: str
    drop: float
    kind: str
    level: float

    def __str__(self) -> str:
        return f"{self.metric} drops {100 * self.drop:g}% under {self.kind}={100 * self.level:g}%"

    def lost(self, card: RobustnessCard) -> float:
        """Return the relative drop that a card has.

        Raises:
            ValueError: the card does not have it.
        """
        if self.metric not in card.undisturbed:
            raise ValueError(unknown("metric", self.metric, list(card.undisturbed)))
        drop = self._level(card.levels).drop(self.metric, card.undisturbed)
        if drop is None:
            raise ValueError(
                f"the gate {str(self)!r} cannot be checked, as {self.metric} is {card.undisturbed[self.metric]:g} "
                "without any disturbance; choose another metric"
            )
        return drop

    def fails(self, card: RobustnessCard) -> bool:
        """Return True if a card loses as much, or more."""
        return self.lost(card) >= self.drop

    def _level(self, levels: Sequence[Level]) -> Level:
        found = [one for one in levels if (one.kind, one.level) == (self.kind, self.level)]
        if not found:
            raise ValueError(f"the gate {str(self)!r} cannot be checked: {self.kind} was not measured at its level")
        return found[0]


def parse_gate(text: str) -> Gate:
    """Read a gate.

    Example:
        >>> parse_gate("recall@10 drops 5% under items=20%")
        Gate(metric='recall@10', drop=0.05, kind='items', level=0.2)

    Raises:
        ValueError: the text is not of this form, or names something unknown or out of range.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"--fail-if must read as {EXAMPLE}, but is {clipped(text, 60)!r}")
    metric, drop, kind, level = match.groups()
    gate = Gate(metric, float(drop) / 100, kind, float(level) / 100)
    if kind not in DISTURBANCES:
        raise ValueError(unknown("kind of disturbance", kind, list(DISTURBANCES)))
    if not 0 < gate.drop <= 1:
        raise ValueError(f"--fail-if must name a drop above 0% and at most 100%, but it is {drop}%")
    check_level(kind, gate.level)
    known = find_metric(metric.partition("@")[0])
    if known is not None and not known.higher_is_better:
        raise ValueError(f"{metric} is better the lower it is, so a drop is no loss; name another metric")
    return gate


def check_level(kind: str, level: float) -> None:
    """Make sure that a kind of disturbance has a level.

    Raises:
        ValueError: it is above 100 %, but the level is a fraction of a whole.
    """
    if DISTURBANCES[kind].IS_FRACTION and level > 1:
        raise ValueError(f"{kind} is a fraction of at most 100%, but is {100 * level:g}%")
