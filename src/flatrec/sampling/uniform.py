"""Uniform sampling: every item that the user lacks alike."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Int64
from torch import Generator, Tensor

from flatrec.data.interactions import Interactions
from flatrec.sampling.base import NegativeSampling
from flatrec.sampling.unbought import UnboughtItems
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

    def draw(
        self, users: Int64[Tensor, "n"], generator: Generator, unbought: UnboughtItems
    ) -> Int64[Tensor, "n n_drawn"]:
        """Draw uniformly."""
        return unbought.draw(users, generator, self.n_negatives)

    def log_q(self, interactions: Interactions) -> None:  # noqa: ARG002 - alike for all
        """All items are equal."""
