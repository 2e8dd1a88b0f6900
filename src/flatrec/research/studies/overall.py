"""RQ1 and RQ2: do the paper's strategies help, for models with and without modalities?"""

from __future__ import annotations

from collections.abc import Sequence

from flatrec.research.studies.base import Conclusion, Finished, Planned, Request, Study, grid
from flatrec.research.studies.one_factor import concluded


class Overall(Study):
    """Every model with every strategy on every data set (the paper's Table II).

    plain+ stands beside the mixed strategies: it too sees two batches a step, so that what is left of a gain over it is
    the perturbation's.
    """

    TITLE = "Overall comparison"
    QUESTION = "Do BSAM and BSAM+ improve models with and without modalities (RQ1, RQ2)?"
    STRATEGIES = ("plain", "plain+", "bsam", "bsam+")

    def plan(self, request: Request) -> list[Planned]:
        """Models times strategies times data sets times seeds."""
        return grid(request)

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Scores, gains and corrected p, beside what the paper reports."""
        return concluded("overall", finished, title=self.TITLE)
