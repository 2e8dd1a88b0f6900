"""RQ11: are the minima flatter?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from flatrec.config import Experiment
from flatrec.data.batches import Batch
from flatrec.evaluation.significance import SIGNIFICANCE_LEVEL, holm, spread
from flatrec.inference.run import Run
from flatrec.models import Model
from flatrec.research.analysis.landscape import Surface, filter_normalized, random_directions, surface
from flatrec.research.analysis.sharpness import sharpness
from flatrec.research.reporting.formats import p_value
from flatrec.research.reporting.study_result import CardColumn, CardEntry, Column, Image, Table, Value, against_first
from flatrec.research.reporting.surfaces import SurfacePanel, surfaces
from flatrec.research.studies.base import (
    Analysis,
    FinishedRun,
    PlannedRun,
    Request,
    Study,
    StudyRuns,
    grid,
    group_by_strategy,
)
from flatrec.research.studies.comparisons import paired_over_seeds
from flatrec.research.studies.rescoring import trained_model
from flatrec.runs.objective import make_sampler
from flatrec.utils import devices, seeding

QUANTITIES = {
    "loss": "loss",
    "max_loss_increase": "maximum loss increase",
    "mean_loss_increase": "mean loss increase",
    "top_eigenvalue": "top eigenvalue",
}
NO_MINIMUM = "A negative eigenvalue means that training did not end in a minimum, so nothing is claimed of it."
PROTOCOLS = {"normalized": "filter-normalized directions", "raw": "raw normal directions, the paper's protocol"}


class LandscapeStudy(Study):
    """The training loss around trained parameters, and how sharp it is there.

    There are two images per model: along two random directions that are normalized filter by filter, and along raw
    directions as far as the paper goes, where the directions are far larger than the parameters. The first one is the
    one to read. The loss is that of some batches of one epoch, with the same noise and negatives at every point.

    Args:
        points: number of points along each direction.
        reach: largest multiple of the normalized directions.
        raw_reach: largest multiple of the raw directions.
        batches: number of batches over which the loss is averaged.
        radius: radius of the ball in which the increase of the loss is measured.
    """

    NAME = "landscape"
    TITLE = "Loss landscape"
    QUESTION = "Are the minima flatter (RQ11)?"
    STRATEGIES = ("plain", "bsam", "bsam+")
    MIN_SEEDS = 1

    def __init__(
        self, *, points: int = 20, reach: float = 1.0, raw_reach: float = 100.0, batches: int = 8, radius: float = 1.0
    ) -> None:
        if points < 2 or batches < 1 or min(reach, raw_reach, radius) <= 0:
            raise ValueError("points must be at least 2, batches at least 1, reaches and radius above 0")
        self.points, self.batches = points, batches
        self.reach, self.raw_reach, self.radius = reach, raw_reach, radius

    def plan(self, request: Request) -> list[PlannedRun]:
        """Plan the grid, with measurements of the loss around each minimum."""
        reaches = (("normalized", self.reach), ("raw", self.raw_reach))
        return grid(request, measures=(LossAround(self.points, reaches, self.batches, self.radius),))

    def analyze(self, runs: StudyRuns) -> Analysis:
        """Draw surfaces of the first seed, and compare sharpness over all seeds."""
        rows = _sharpness(runs.finished)
        first = [run for run in runs.finished if run.label("seed") == runs.request.seeds[0]]
        places = dict.fromkeys((str(run.label("data")), str(run.label("model"))) for run in first)
        figures = []
        for index, (data, model) in enumerate(places):
            of_place = [run for run in first if (run.label("data"), run.label("model")) == (data, model)]
            for protocol, directions in PROTOCOLS.items():
                name = f"landscape-{index}-{protocol}" if len(places) > 1 else f"landscape-{protocol}"
                title = f"Training loss around the minima of {model} on {data}"
                image = Image(name, title, f"Along two {directions}; first seed; the same scale in all panels.")
                figures.append((image, surfaces([_panel(run, protocol) for run in of_place])))
        return Analysis((_table(rows, self.radius),), tuple(figures), _findings(rows), _card_columns(rows))


@dataclass(frozen=True)
class LossAround:
    """Surfaces and sharpness of the training loss around a run's parameters."""

    NAME: ClassVar[str] = "landscape"
    points: int
    reaches: tuple[tuple[str, float], ...]
    batches: int
    radius: float

    def __call__(self, run: Run, experiment: Experiment) -> Mapping[str, Any]:
        """Return ``surfaces`` by protocol, as lists, and ``sharpness`` by quantity."""
        model = trained_model(run).train()
        loss = TrainingLoss.of(model, run, experiment, self.batches)
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        stream = seeding.generator(experiment.seed, "directions")
        directions = [random_directions(parameters, stream) for _ in range(2)]
        surfaces_of = {}
        for protocol, reach in self.reaches:
            along, across = (
                filter_normalized(direction, parameters) if protocol == "normalized" else direction
                for direction in directions
            )
            measured = surface(loss, parameters, (along, across), reach=reach, points=self.points)
            surfaces_of[protocol] = _plain_surface(measured)
        values = sharpness(loss, parameters, radius=self.radius, generator=stream)
        model.eval()
        return {"surfaces": surfaces_of, "sharpness": {name: getattr(values, name) for name in QUANTITIES}}


@dataclass(frozen=True, eq=False)
class TrainingLoss:
    """Mean training loss of some batches, with the same noise at every call.

    It is the loss, with the penalty, that the experiment trains by; AMR and MDVT are left out.
    """

    model: Model
    batches: tuple[Batch, ...]
    seed: int

    @staticmethod
    def of(model: Model, run: Run, experiment: Experiment, count: int) -> TrainingLoss:
        """Return the loss on the first batches of an epoch of its own, whose draws do not depend on the strategy."""
        stream = seeding.generator(experiment.seed, "landscape")
        model.on_epoch_start(stream)
        device = next(model.parameters()).device
        sampler = make_sampler(experiment, run.dataset.interactions, device)
        batches = tuple(batch for (batch,) in islice(sampler.epoch(stream), count))
        return TrainingLoss(model, batches, seeding.derive_seed(experiment.seed, "noise of the landscape"))

    def __call__(self) -> Tensor:
        """Return the loss, with its graph."""
        device = next(self.model.parameters()).device
        with devices.forked_generators(device):
            devices.seed(device, self.seed)
            encoded = self.model.encode()
            return torch.stack([self.model.loss(encoded, batch) for batch in self.batches]).mean()


def _plain_surface(measured: Surface) -> dict[str, Any]:
    """Return lists for JSON, with None for NaN."""
    losses = [[None if np.isnan(value) else float(value) for value in row] for row in measured.losses]
    return {"along": measured.along.tolist(), "across": measured.across.tolist(), "losses": losses}


def _panel(run: FinishedRun, protocol: str) -> SurfacePanel:
    plain = run.measured[LossAround.NAME]["surfaces"][protocol]
    losses = np.array([[np.nan if value is None else value for value in row] for row in plain["losses"]])
    return SurfacePanel(str(run.label("strategy")), np.array(plain["along"]), np.array(plain["across"]), losses)


@dataclass(frozen=True)
class _SharpnessRow:
    place: tuple[str, str]
    strategy: str
    quantity: str
    values: tuple[float, ...]
    p: float | None


def _sharpness(finished: Sequence[FinishedRun]) -> list[_SharpnessRow]:
    rows = []
    for place, strategies in group_by_strategy(finished).items():
        sharpness_of = {
            name: {run.label("seed"): run.measured[LossAround.NAME]["sharpness"] for run in runs}
            for name, runs in strategies.items()
        }
        first = next(iter(sharpness_of))
        for strategy, by_seed in sharpness_of.items():
            for quantity in QUANTITIES:
                own, others = (
                    {seed: measured[quantity] for seed, measured in side.items()}
                    for side in (by_seed, sharpness_of[first])
                )
                test = paired_over_seeds(own, others) if strategy != first else None
                p = test.t_p if test else None
                rows.append(_SharpnessRow(place, strategy, quantity, tuple(own.values()), p))
    corrected = holm([row.p for row in rows])
    return [replace(row, p=p) for row, p in zip(rows, corrected, strict=True)]


def _table(rows: Sequence[_SharpnessRow], radius: float) -> Table:
    columns = (
        *(Column(name) for name in ("data", "model", "strategy", "quantity")),
        *(Column(name, "number", 6) for name in ("mean", "deviation")),
        Column("runs", "number", 0),
        Column("p", "p"),
    )
    cells: tuple[tuple[Value, ...], ...] = tuple(
        (*row.place, row.strategy, QUANTITIES[row.quantity], *spread(row.values), len(row.values), row.p)
        for row in rows
    )
    note = (
        "The training loss at the trained parameters, the largest increase of it that was found within a ball of "
        f"radius {radius:g}, its mean increase at that distance in random directions, and the largest eigenvalue of "
        "its Hessian; p of the paired t-test against the first strategy, corrected by Holm."
    )
    return Table("landscape", "Sharpness", columns, cells, note)


def _card_columns(rows: Sequence[_SharpnessRow]) -> tuple[CardColumn, ...]:
    return tuple(
        CardColumn(name, title, against_first(_card_entries(rows, name)), f"in {QUANTITIES[name]}", "#.3g")
        for name, title in (
            ("top_eigenvalue", "Top Hessian eigenvalue"),
            ("max_loss_increase", "Maximum loss increase"),
        )
    )


def _card_entries(rows: Sequence[_SharpnessRow], quantity: str) -> Iterator[CardEntry]:
    """Make entries of one quantity; of a negative eigenvalue nothing is claimed, and a note says so."""
    of_quantity = [row for row in rows if row.quantity == quantity]
    for row in of_quantity:
        mean, deviation = spread(row.values)
        at_minimum = quantity != "top_eigenvalue" or mean >= 0
        first = next(other for other in of_quantity if other.place == row.place)
        comparable = at_minimum and (quantity != "top_eigenvalue" or fmean(first.values) >= 0)
        yield CardEntry(
            *row.place,
            row.strategy,
            mean,
            deviation,
            row.p if comparable else None,
            runs=len(row.values),
            note="" if at_minimum else NO_MINIMUM,
        )


def _findings(rows: Sequence[_SharpnessRow]) -> tuple[str, ...]:
    sentences = []
    for row in rows:
        if row.quantity == "top_eigenvalue":
            sentences.append(
                f"The largest Hessian eigenvalue of {row.strategy} ({', '.join(row.place)}) is {fmean(row.values):.3g}."
            )
        if row.p is not None and row.p < SIGNIFICANCE_LEVEL:
            name = QUANTITIES[row.quantity]
            sentences.append(f"The {name} of {row.strategy} differs from the first strategy's ({p_value(row.p)}).")
    return tuple(sentences)
