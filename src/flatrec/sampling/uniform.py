"""Uniform sampling: every item that the user lacks alike."""

from __future__ import annotations

from dataclasses import dataclass

from flatrec.data.interactions import Interactions
from flatrec.sampling.base import NegativeSampling
from flatrec.utils.ranges import PositiveInt


@dataclass(frozen=True, kw_only=True)
class Uniform(NegativeSampling):
    """Negatives uniform over the items that a user has no training interaction with.

    Args:
        n_negatives: number of negatives per interaction.

    Example:
        >>> Uniform(n_negatives=4).n_drawn
        4
    """

    n_negatives: PositiveInt = 1

    @property
    def n_drawn(self) -> int:
        """The number of negatives."""
        return self.n_negatives

    def weights(self, interactions: Interactions) -> None:  # noqa: ARG002 - alike for all
        """All items are equal."""

    def log_q(self, interactions: Interactions) -> None:  # noqa: ARG002 - alike for all
        """All items are equal."""
