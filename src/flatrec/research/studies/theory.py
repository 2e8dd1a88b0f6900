"""Theorems 2 to 4: do the measured gradients follow the rates that the paper proves?"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from flatrec.research.analysis.regression import Regression
from flatrec.research.analysis.theory import Convergence, Tracking, convergence, tracking
from flatrec.research.reporting.outcome import Column, Image, Table
from flatrec.research.reporting.plots import Line, Panel, lines
from flatrec.research.studies.base import Conclusion, Finished, Planned, Request, Study
from flatrec.utils import seeding


class Theory(Study):
    """A convex problem whose full gradient is known; no data set is read and no model trained.

    Args:
        samples: of the problem.
        dim: its parameters.
        steps: of each run for Theorem 2.
        learning_rates: for Theorem 2.
        horizons: numbers of steps for Theorems 3 and 4.
    """

    TITLE = "Theorems 2 to 4, measured"
    QUESTION = "Does BSAM's mean follow the gradient of all data, and do gradients fall at the rates that are proved?"
    STRATEGIES = ("plain", "sam", "bsam", "bsam+")
    LEAST_SEEDS = 1

    def __init__(
        self,
        *,
        samples: int = 256,
        dim: int = 8,
        steps: int = 1500,
        learning_rates: tuple[float, ...] = (0.3, 0.1, 0.03, 0.01, 0.003),
        horizons: tuple[int, ...] = (64, 128, 256, 512),
    ) -> None:
        self.samples, self.dim, self.steps = samples, dim, steps
        self.learning_rates, self.horizons = learning_rates, horizons

    def plan(self, request: Request) -> list[Planned]:  # noqa: ARG002
        """Nothing: it is all done at the end."""
        return []

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Measured against proved."""
        stream = seeding.generator(request.seeds[0], "regression")
        problem = Regression.drawn(self.samples, self.dim, generator=stream)
        tracked = tracking(problem, learning_rates=self.learning_rates, steps=self.steps, seed=request.seeds[0])
        fallen = convergence(problem, strategies=request.strategies, horizons=self.horizons, seeds=request.seeds)
        figures = (
            (
                Image("theory-tracking", "Theorem 2", "Distance of the mean from the gradient of all data, log-log."),
                _tracking_figure(tracked),
            ),
            (
                Image("theory-convergence", "Theorems 3 and 4", "Mean squared gradient over the steps, log-log."),
                _convergence_figure(fallen),
            ),
        )
        return Conclusion((_tracking_table(tracked), _convergence_table(fallen)), figures, _in_words(tracked, fallen))


def _tracking_table(one: Tracking) -> Table:
    columns = (
        Column("learning rate", "number", 4),
        Column("lambda", "number"),
        Column("distance", "number"),
        Column("the bound's rate", "number"),
    )
    rows = tuple(zip(one.learning_rates, one.lams, one.errors, _rate(one), strict=True))
    note = (
        "Distance ||m - grad L_S||, mean over the last half of the steps; the rate passes through the first distance."
    )
    return Table("theory-tracking", "Theorem 2: m against the learning rate", columns, rows, note)


def _rate(one: Tracking) -> tuple[float, ...]:
    first = one.learning_rates[0]
    return tuple(one.errors[0] * (gamma / first) ** one.power for gamma in one.learning_rates)


def _convergence_table(found: Sequence[Convergence]) -> Table:
    columns = (
        Column("strategy"),
        Column("steps", "number", 0),
        *(
            Column(name, "number", 5)
            for name in ("mean squared gradient", "deviation", "the bound's rate", "the bound")
        ),
    )
    rows = tuple(
        (one.strategy, *cells)
        for one in found
        for cells in zip(one.horizons, one.measured, one.deviations, one.rates, one.bounds, strict=True)
    )
    note = "The rate c log(T) / sqrt(T) passes through the first value; the bound has the problem's own constants."
    return Table("theory-convergence", "Theorems 3 and 4: gradients against the number of steps", columns, rows, note)


def _tracking_figure(one: Tracking) -> Figure:
    drawn = (
        Line("bsam", one.learning_rates, one.errors),
        Line("the bound's rate", one.learning_rates, _rate(one)),
    )
    label = "distance from the full gradient"
    return lines([Panel("Theorem 2", drawn)], x_label="learning rate", y_label=label, log_x=True, log_y=True)


def _convergence_figure(found: Sequence[Convergence]) -> Figure:
    panels = [
        Panel(
            one.strategy,
            (
                Line(one.strategy, tuple(map(float, one.horizons)), one.measured),
                Line("the bound's rate", tuple(map(float, one.horizons)), one.rates),
            ),
        )
        for one in found
    ]
    return lines(panels, x_label="steps", y_label="mean squared gradient", log_x=True, log_y=True)


def _in_words(tracked: Tracking, fallen: Sequence[Convergence]) -> tuple[str, ...]:
    slope = "unknown" if tracked.slope is None else f"{tracked.slope:.2f}"
    sentences = [
        f"The distance of m from the full gradient falls with the learning rate to the power {slope}; "
        f"Theorem 2 bounds it by the power {tracked.power:.2f}."
    ]
    for one in fallen:
        measured = "unknown" if one.slope is None else f"{one.slope:.2f}"
        rate = "unknown" if one.rate_slope is None else f"{one.rate_slope:.2f}"
        held = "stays within" if one.below else "leaves"
        sentences.append(f"{one.strategy}: slope {measured} where the rate has {rate}; it {held} the rate.")
    return tuple(sentences)
