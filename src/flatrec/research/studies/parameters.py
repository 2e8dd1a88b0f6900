"""RQ12: how sensitive are BSAM and BSAM+ to their settings?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from flatrec.evaluation.significance import spread
from flatrec.registry.instantiate import config_class
from flatrec.research.reporting.report import metric_name
from flatrec.research.studies.base import Conclusion, Finished, Label, Planned, Request, Study, Tree, grid
from flatrec.research.studies.one_factor import SHOWN, concluded


class Parameters(Study):
    """One setting varied at a time, the others as given.

    Args:
        rho: radii.
        lam: shares of the running mean.
        kappa: weights of the perturbed part, for mixed strategies.
        distance: how far apart the batch and the mean are, in which sense.
    """

    TITLE = "Settings"
    QUESTION = "How sensitive are BSAM and BSAM+ to rho, lambda, kappa and the distance (RQ12)?"
    STRATEGIES = ("bsam", "bsam+")

    def __init__(
        self,
        *,
        rho: tuple[float, ...] = (0.05, 0.1, 0.15, 0.2),
        lam: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8),
        kappa: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8),
        distance: tuple[str, ...] = ("manhattan", "euclidean", "cosine"),
    ) -> None:
        self.rho, self.lam, self.kappa, self.distance = rho, lam, kappa, distance

    def plan(self, request: Request) -> list[Planned]:
        """The grid, once a value of each setting that the strategy has."""
        planned = []
        for strategy in request.strategies:
            known = config_class("strategy", strategy).model_fields
            one = Request(request.data, request.models, (strategy,), request.seeds, request.base)
            changes: dict[Label, Tree] = {
                f"{name} {value}": {"strategy": {name: value}}
                for name, values in vars(self).items()
                if name in known
                for value in values
            }
            planned += grid(one, changes, "setting") if changes else []
        if not planned:
            raise ValueError(f"none of {', '.join(request.strategies)} has rho, lam, kappa or distance; choose bsam+")
        return planned

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Scores by setting."""
        found = concluded("parameters", finished, title=self.TITLE, label="setting", baselines={})
        return replace(found, findings=(*found.findings, *_ranges(finished)))


def _ranges(finished: Sequence[Finished]) -> list[str]:
    """How far apart the means are over the values of each setting, beside how far seeds are apart."""
    groups: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for one in finished:
        name, _, value = str(one.label("setting")).partition(" ")
        place = (name, *(str(one.label(label)) for label in ("strategy", "data", "model")))
        groups.setdefault(place, {}).setdefault(value, []).append(one.result["test"][SHOWN])
    sentences = []
    for place, by_value in groups.items():
        means = {value: fmean(scores) for value, scores in by_value.items()}
        low, high = min(means, key=lambda value: means[value]), max(means, key=lambda value: means[value])
        deviation = fmean(spread(scores)[1] for scores in by_value.values())
        sentences.append(
            f"{place[0]} ({', '.join(place[1:])}): {metric_name(SHOWN)} from {means[low]:.4f} at {low} "
            f"to {means[high]:.4f} at {high}, where seeds deviate by {deviation:.4f}."
        )
    return sentences
