"""The paper's Figures 1 and 2: how often should a step be a sharpness-aware one?"""

from __future__ import annotations

from collections.abc import Sequence

from flatrec.registry.instantiate import config_class
from flatrec.research.studies.base import Conclusion, Finished, Label, Planned, Request, Study, Tree, grid
from flatrec.research.studies.one_factor import concluded


class Interval(Study):
    """Perturbed steps only now and then, plain ones between them.

    Args:
        every: values of ``strategy.interval``: one of so many steps is perturbed.
    """

    TITLE = "Interval of perturbed steps"
    QUESTION = "Is a perturbation at every step the best choice (Figures 1 and 2)?"
    STRATEGIES = ("plain", "sam", "mg", "bsam")

    def __init__(self, *, every: tuple[int, ...] = (1, 2, 3, 5, 10)) -> None:
        self.every = every

    def plan(self, request: Request) -> list[Planned]:
        """The grid, once an interval; strategies that have none once only, under every label.

        Raises:
            ValueError: no strategy has an interval.
        """
        has_interval = {
            strategy: "interval" in config_class("strategy", strategy).model_fields for strategy in request.strategies
        }
        if not any(has_interval.values()):
            raise ValueError(
                f"none of {', '.join(request.strategies)} has an interval; add one that has, such as sam, bsam or mg"
            )
        planned: list[Planned] = []
        for strategy, varies in has_interval.items():
            one = Request(request.data, request.models, (strategy,), request.seeds, request.base)
            changes: dict[Label, Tree] = {
                every: {"strategy": {"interval": every}} if varies else {} for every in self.every
            }
            planned += grid(one, changes, "interval")
        return planned

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Scores by interval."""
        return concluded("interval", finished, title=self.TITLE, label="interval")
