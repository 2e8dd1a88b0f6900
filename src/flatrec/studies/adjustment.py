"""RQ3: do models trained into flat minima bear it better when texts and pictures are edited?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from flatrec import seeding
from flatrec.analysis.outcome import Picture
from flatrec.analysis.perturbation import adjusted
from flatrec.config import Experiment
from flatrec.run import Run
from flatrec.studies.base import Conclusion, Finished, Planned, Request, Study, grid
from flatrec.studies.decreases import decreases, figure, in_words, table
from flatrec.studies.rescoring import rescored, scores_on_test

STAND_IN = "features"


class Adjustment(Study):
    """A share of the items gets another text and an edited picture after training.

    This is the stand-in for data without raw texts and pictures: an adjusted item takes the text features of the item
    whose picture is nearest to its own, and half of that item's picture features.

    Args:
        shares: of the items, each drawn for itself.
        draws: of each.
        metric: whose decrease is looked at.
    """

    TITLE = "Information adjustment (stand-in on features)"
    QUESTION = "Do models trained into flat minima lose less when item information is edited (RQ3)?"
    STRATEGIES = ("plain", "bsam", "bsam+")

    def __init__(
        self, *, shares: tuple[float, ...] = (0.01, 0.03, 0.05), draws: int = 5, metric: str = "recall@10"
    ) -> None:
        if draws < 1 or any(not 0 <= share <= 1 for share in shares):
            raise ValueError(f"shares must lie in [0, 1] and draws be at least 1, but are {shares} and {draws}")
        self.shares, self.draws, self.metric = shares, draws, metric

    def plan(self, request: Request) -> list[Planned]:
        """The grid, each run scored on adjusted items."""
        return grid(request, measures=(Adjusted(self.shares, self.draws),))

    def conclude(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Decreases by share."""
        rows = decreases(finished, Adjusted.NAME, self.metric)
        picture = Picture(
            "adjustment",
            "Decrease under adjustment",
            "Over the share of items adjusted; bands from the lowest seed to the highest.",
        )
        tables = (table(rows, name="adjustment", title=self.TITLE, metric=self.metric),)
        said = "Features were adjusted in the place of raw texts and pictures: this is the stand-in."
        return Conclusion(
            tables, ((picture, figure(rows, self.metric, "share of items adjusted")),), (said, *in_words(rows))
        )


@dataclass(frozen=True)
class Adjusted:
    """Test scores of a run on data with adjusted items, by share."""

    NAME: ClassVar[str] = "adjustment"
    shares: tuple[float, ...]
    draws: int

    def __call__(self, run: Run, experiment: Experiment) -> Mapping[str, Any]:
        """A list of scores, one a draw.

        Raises:
            ValueError: the data have no features.
        """
        return {
            STAND_IN: {
                f"{share:g}": [self._score(run, experiment, share, draw) for draw in range(self.draws)]
                for share in self.shares
            }
        }

    @staticmethod
    def _score(run: Run, experiment: Experiment, share: float, draw: int) -> dict[str, float]:
        stream = seeding.generator(experiment.seed, f"adjusted items {share:g}", draw)
        return scores_on_test(rescored(run, experiment, adjusted(run.dataset, share, stream).dataset))
