"""RQ8: do the strategies help at other batch sizes?"""

from __future__ import annotations

from collections.abc import Sequence

from flatrec.research.studies.base import Conclusion, Finished, Label, Planned, Request, Study, Tree, grid
from flatrec.research.studies.one_factor import concluded


class BatchSize(Study):
    """The same comparison at several batch sizes.

    Args:
        sizes: pairs a batch.
    """

    TITLE = "Batch size"
    QUESTION = "Do the strategies help at other batch sizes (RQ8)?"
    STRATEGIES = ("plain", "plain+", "bsam", "bsam+")

    def __init__(self, *, sizes: tuple[int, ...] = (1024, 2048, 4096)) -> None:
        self.sizes = sizes

    def plan(self, request: Request) -> list[Planned]:
        """The grid, once a size."""
        variants: dict[Label, Tree] = {size: {"training": {"batch_size": size}} for size in self.sizes}
        return grid(request, variants, "batch size")

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Scores by batch size."""
        condition: dict[Label, str] = {size: f"batch {size}" for size in self.sizes}
        return concluded("batch-size", finished, title=self.TITLE, label="batch size", condition=condition)
