"""Theorems 2 to 4: do the measured gradients follow the rates that the paper proves?"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from flatrec.research.analysis.regression import Regression
from flatrec.research.analysis.theory import ConvergenceRate, Tracking, check_covered, convergence, tracking
from flatrec.research.reporting.plots import Line, Panel, lines
from flatrec.research.reporting.study_result import Column, Image, Table
from flatrec.research.studies.base import Analysis, PlannedRun, Request, Study, StudyRuns
from flatrec.utils import seeding


class TheoryStudy(Study):
    """A convex problem whose full gradient is known; no data set is read and no model trained.

    Args:
        samples: number of samples of the problem.
        dim: number of parameters of the problem.
        steps: number of steps of each run for Theorem 2.
        learning_rates: learning rates for Theorem 2.
        horizons: numbers of steps for Theorems 3 and 4.
    """

    NAME = "theory"
    TITLE = "Theorems 2 to 4, measured"
    QUESTION = "Does BSAM's mean follow the gradient of all data, and do gradients fall at the rates that are proved?"
    STRATEGIES = ("plain", "sam", "bsam", "bsam+")
    MIN_SEEDS = 1

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

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan no run, since the analysis makes its own on the convex problem.

        Raises:
            ValueError: the theorems do not cover a strategy.
        """
        for strategy in request.strategies:
            check_covered(strategy)
        return []

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Compare what is measured with what is proved."""
        request = runs.request
        stream = seeding.generator(request.seeds[0], "regression")
        problem = Regression.drawn(self.samples, self.dim, generator=stream)
        tracked = tracking(problem, learning_rates=self.learning_rates, steps=self.steps, seed=request.seeds[0])
        rates = convergence(problem, strategies=request.strategies, horizons=self.horizons, seeds=request.seeds)
        figures = (
            (
                Image("theory-tracking", "Theorem 2", "Distance of the mean from the gradient of all data, log-log."),
                _tracking_figure(tracked),
            ),
            (
                Image("theory-convergence", "Theorems 3 and 4", "Mean squared gradient over the steps, log-log."),
                _convergence_figure(rates),
            ),
        )
        return Analysis((_tracking_table(tracked), _convergence_table(rates)), figures, _findings(tracked, rates))


def _tracking_table(tracked: Tracking) -> Table:
    columns = (
        Column("learning rate", "number", 4),
        Column("lambda", "number"),
        Column("distance", "number"),
        Column("the bound's rate", "number"),
    )
    rows = tuple(zip(tracked.learning_rates, tracked.lams, tracked.errors, _rate(tracked), strict=True))
    note = (
        "Distance ||m - grad L_S||, mean over the last half of the steps; the rate passes through the first distance."
    )
    return Table("theory-tracking", "Theorem 2: m against the learning rate", columns, rows, note)


def _rate(tracked: Tracking) -> tuple[float, ...]:
    first = tracked.learning_rates[0]
    return tuple(tracked.errors[0] * (gamma / first) ** tracked.power for gamma in tracked.learning_rates)


def _convergence_table(rates: Sequence[ConvergenceRate]) -> Table:
    columns = (
        Column("strategy"),
        Column("steps", "number", 0),
        *(
            Column(name, "number", 5)
            for name in ("mean squared gradient", "deviation", "the bound's rate", "the bound")
        ),
    )
    rows = tuple(
        (rate.strategy, *cells)
        for rate in rates
        for cells in zip(rate.horizons, rate.measured, rate.deviations, rate.rates, rate.bounds, strict=True)
    )
    note = "The rate c log(T) / sqrt(T) passes through the first value; the bound has the problem's own constants."
    return Table("theory-convergence", "Theorems 3 and 4: gradients against the number of steps", columns, rows, note)


def _tracking_figure(tracked: Tracking) -> Figure:
    drawn = (
        Line("bsam", tracked.learning_rates, tracked.errors),
        Line("the bound's rate", tracked.learning_rates, _rate(tracked)),
    )
    label = "distance from the full gradient"
    return lines([Panel("Theorem 2", drawn)], x_label="learning rate", y_label=label, log_x=True, log_y=True)


def _convergence_figure(rates: Sequence[ConvergenceRate]) -> Figure:
    panels = [
        Panel(
            rate.strategy,
            (
                Line(rate.strategy, tuple(map(float, rate.horizons)), rate.measured),
                Line("the bound's rate", tuple(map(float, rate.horizons)), rate.rates),
            ),
        )
        for rate in rates
    ]
    return lines(panels, x_label="steps", y_label="mean squared gradient", log_x=True, log_y=True)


def _findings(tracked: Tracking, rates: Sequence[ConvergenceRate]) -> tuple[str, ...]:
    slope = "unknown" if tracked.slope is None else f"{tracked.slope:.2f}"
    sentences = [
        f"The distance of m from the full gradient falls with the learning rate to the power {slope}; "
        f"Theorem 2 bounds it by the power {tracked.power:.2f}."
    ]
    for rate in rates:
        measured = "unknown" if rate.slope is None else f"{rate.slope:.2f}"
        proved = "unknown" if rate.rate_slope is None else f"{rate.rate_slope:.2f}"
        verb = "stays within" if rate.below else "leaves"
        sentences.append(f"{rate.strategy}: slope {measured} where the rate has {proved}; it {verb} the rate.")
    return tuple(sentences)
