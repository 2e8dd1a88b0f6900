"""Hardest of n: of some candidates, the one that the model scores highest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flatrec.data.interactions import Interactions
from flatrec.sampling.base import NegativeSampling
from flatrec.utils.ranges import PositiveInt


@dataclass(frozen=True, kw_only=True)
class Hardest(NegativeSampling):
    """Dynamic negative sampling (Zhang et al., SIGIR 2013, https://doi.org/10.1145/2484028.2484126).

    Candidates are uniform over the items that a user has no training interaction with; the one with the highest score
    under the present parameters is the negative. With one candidate it is uniform sampling.

    Deviations: the paper chooses from the list that the present model ranks; of the ways to do so this is the one that
    is common since: the best of a few candidates.

    Args:
        n_candidates: number of candidates per interaction.

    Example:
        >>> Hardest(n_candidates=8).n_drawn
        8
    """

    hardest: ClassVar[bool] = True
    n_candidates: PositiveInt = 4

    @property
    def n_drawn(self) -> int:
        """The number of candidates."""
        return self.n_candidates

    def weights(self, interactions: Interactions) -> None:  # noqa: ARG002 - alike for all
        """All items are equal."""

    def log_q(self, interactions: Interactions) -> None:  # noqa: ARG002 - alike for all
        """Candidates are equal; one negative is left, so that nothing is to be corrected."""
