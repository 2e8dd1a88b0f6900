"""What a kind of disturbance has to say of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from flatrec.research.robustness.subject import Subject
from flatrec.research.robustness.target import TargetHits


@dataclass(frozen=True)
class Outcome:
    """What one draw of a disturbance leads to.

    Args:
        metrics: metrics under the disturbance.
        target: hit rates of the item that is pushed; None if none is.
    """

    metrics: Mapping[str, float]
    target: TargetHits | None = None


class Disturbance(ABC):
    """A kind of disturbance: what is changed, how strongly, and how well the recommender scores then.

    Levels are fractions: 0.05 for 5 %. Level 0 changes nothing.
    """

    NAME: ClassVar[str]
    ABOUT: ClassVar[str]
    LEVELS: ClassVar[tuple[float, ...]]
    IS_FRACTION: ClassVar[bool] = False  # a level is a fraction of a whole, hence at most 1
    RETRAINS: ClassVar[bool] = False

    @abstractmethod
    def reason(self, subject: Subject) -> str:
        """Say in one sentence part why this kind cannot be measured; empty if it can be."""

    @abstractmethod
    def outcome(self, subject: Subject, level: float, seed: int, draw: int) -> Outcome:
        """Return what one draw of the disturbance leads to; equal arguments give equal outcomes."""
