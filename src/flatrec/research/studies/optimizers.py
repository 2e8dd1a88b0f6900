"""RQ6: do the strategies help whatever the base optimizer?"""

from __future__ import annotations

from collections.abc import Sequence

from flatrec.research.studies.base import Conclusion, Finished, Label, Planned, Request, Study, Tree, grid
from flatrec.research.studies.one_factor import concluded


class Optimizers(Study):
    """The same comparison under several base optimizers.

    Args:
        names: of optimizers; settings given for the base optimizer, such as its rate, go to all of them.
    """

    TITLE = "Base optimizers"
    QUESTION = "Do the strategies help under other base optimizers (RQ6)?"
    STRATEGIES = ("plain", "plain+", "bsam", "bsam+")

    def __init__(self, *, names: tuple[str, ...] = ("adam", "rmsprop", "adagrad")) -> None:
        self.names = names

    def plan(self, request: Request) -> list[Planned]:
        """The grid, once an optimizer."""
        given = request.base.optimizer.options
        variants: dict[Label, Tree] = {name: {"optimizer": {"name": name, **given}} for name in self.names}
        return grid(request, variants, "optimizer")

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Scores by optimizer."""
        condition: dict[Label, str] = {name: "" if name == "adam" else name for name in self.names}
        return concluded("optimizers", finished, title=self.TITLE, label="optimizer", condition=condition)
