"""RQ5 and RQ9: how do the paper's strategies compare with other roads to flat minima, each also mixed?"""

from __future__ import annotations

from collections.abc import Sequence

from flatrec.research.studies.base import Conclusion, Finished, Planned, Request, Study, grid
from flatrec.research.studies.one_factor import concluded


class Rivals(Study):
    """Flat-minima strategies against one another, and the same with the plain gradient of a second batch mixed in."""

    TITLE = "Rivals"
    QUESTION = "How do BSAM and BSAM+ compare with other flat-minima strategies, plain and mixed (RQ5, RQ9)?"
    STRATEGIES = (
        *("plain", "sam", "asam", "fishersam", "friendlysam", "mg", "bsam"),
        *("plain+", "sam+", "asam+", "fishersam+", "friendlysam+", "bsam+"),
    )

    def plan(self, request: Request) -> list[Planned]:
        """Models times strategies times data sets times seeds."""
        return grid(request)

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Scores, gains and corrected p, beside what the paper reports."""
        return concluded("rivals", finished, title=self.TITLE)
