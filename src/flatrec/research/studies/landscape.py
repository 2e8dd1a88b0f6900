"""RQ11: are the minima flatter?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from flatrec.config import Experiment
from flatrec.data.batches import Batch, Sampler
from flatrec.evaluation.significance import compare, holm, spread
from flatrec.inference.run import Run
from flatrec.models import Model
from flatrec.research.analysis.landscape import Surface, filter_normalized, random_directions, surface
from flatrec.research.analysis.sharpness import sharpness
from flatrec.research.reporting.outcome import Column, Image, Table, Value
from flatrec.research.reporting.report import LEVEL, p_value
from flatrec.research.reporting.surfaces import SurfacePanel, surfaces
from flatrec.research.studies.base import Conclusion, Finished, Planned, Request, Study, by_strategy, grid
from flatrec.research.studies.rescoring import model_of
from flatrec.utils import seeding

NUMBERS = ("loss", "max_loss_increase", "mean_loss_increase", "top_eigenvalue")
PROTOCOLS = {"normalized": "filter-normalized directions", "raw": "raw normal directions, the paper's protocol"}


class Landscape(Study):
    """The training loss around trained parameters, and how sharp it is there.

    Two images a model: along two random directions normalized filter by filter, which is the one to read, and along
    raw ones as far as the paper goes, where the parameters are long drowned. The numbers are those that flatness is
    about. The loss is that of some batches of one epoch, with the same noise and negatives at every point.

    Args:
        points: along each direction.
        reach: of the normalized directions.
        raw_reach: of the raw ones.
        batches: that the loss is the mean of.
        radius: of the ball in which the loss may rise.
    """

    TITLE = "Loss landscape"
    QUESTION = "Are the minima flatter (RQ11)?"
    STRATEGIES = ("plain", "bsam", "bsam+")
    LEAST_SEEDS = 1

    def __init__(
        self,
        *,
        points: int = 20,
        reach: float = 1.0,
        raw_reach: float = 100.0,
        batches: int = 8,
        radius: float = 1.0,
    ) -> None:
        if points < 2 or batches < 1 or min(reach, raw_reach, radius) <= 0:
            raise ValueError("points must be at least 2, batches at least 1, reaches and radius above 0")
        self.points, self.batches = points, batches
        self.reach, self.raw_reach, self.radius = reach, raw_reach, radius

    def plan(self, request: Request) -> list[Planned]:
        """The grid, each run measured."""
        reaches = (("normalized", self.reach), ("raw", self.raw_reach))
        return grid(request, measures=(Around(self.points, reaches, self.batches, self.radius),))

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:
        """Surfaces of the first seed, sharpness over all."""
        rows = _sharpness(finished)
        first = [one for one in finished if one.label("seed") == request.seeds[0]]
        places = dict.fromkeys((str(one.label("data")), str(one.label("model"))) for one in first)
        figures = []
        for number, (data, model) in enumerate(places):
            these = [one for one in first if (one.label("data"), one.label("model")) == (data, model)]
            for protocol, said in PROTOCOLS.items():
                name = f"landscape-{number}-{protocol}" if len(places) > 1 else f"landscape-{protocol}"
                title = f"Training loss around the minima of {model} on {data}"
                image = Image(name, title, f"Along two {said}; first seed; the same scale in all panels.")
                figures.append((image, surfaces([_panel(one, protocol) for one in these])))
        return Conclusion((_table(rows, self.radius),), tuple(figures), _in_words(rows))


@dataclass(frozen=True)
class Around:
    """Surfaces and sharpness of the training loss around a run's parameters."""

    NAME: ClassVar[str] = "landscape"
    points: int
    reaches: tuple[tuple[str, float], ...]
    batches: int
    radius: float

    def __call__(self, run: Run, experiment: Experiment) -> Mapping[str, Any]:
        """``surfaces`` by protocol, as lists, and ``sharpness`` by the name of the number."""
        model = model_of(run).train()
        loss = TrainingLoss.of(model, run, experiment, self.batches)
        parameters = [one for one in model.parameters() if one.requires_grad]
        stream = seeding.generator(experiment.seed, "directions")
        directions = [random_directions(parameters, stream) for _ in range(2)]
        found = {}
        for protocol, reach in self.reaches:
            normalized = protocol == "normalized"
            one, other = (filter_normalized(way, parameters) if normalized else way for way in directions)
            found[protocol] = _plain(surface(loss, parameters, (one, other), reach=reach, points=self.points))
        numbers = sharpness(loss, parameters, radius=self.radius, generator=stream)
        model.eval()
        return {"surfaces": found, "sharpness": {name: getattr(numbers, name) for name in NUMBERS}}


@dataclass(frozen=True, eq=False)
class TrainingLoss:
    """The mean training loss of some batches, the same noise at every call."""

    model: Model
    batches: tuple[Batch, ...]
    seed: int

    @staticmethod
    def of(model: Model, run: Run, experiment: Experiment, count: int) -> TrainingLoss:
        """That of the first batches of an epoch of its own, whose draws do not depend on the strategy."""
        stream = seeding.generator(experiment.seed, "landscape")
        model.on_epoch_start(stream)
        device = next(model.parameters()).device
        sampler = Sampler(run.dataset.interactions, experiment.training.batch_size, device)
        batches = tuple(batch for (batch,) in islice(sampler.epoch(stream), count))
        return TrainingLoss(model, batches, seeding.derive_seed(experiment.seed, "noise of the landscape"))

    def __call__(self) -> Tensor:
        """The loss, with its graph."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            encoded = self.model.encode()
            return torch.stack([self.model.loss(encoded, batch) for batch in self.batches]).mean()


def _plain(one: Surface) -> dict[str, Any]:
    """For JSON, which has no NaN."""
    losses = [[None if np.isnan(value) else float(value) for value in row] for row in one.losses]
    return {"along": one.along.tolist(), "across": one.across.tolist(), "losses": losses}


def _panel(one: Finished, protocol: str) -> SurfacePanel:
    found = one.measured[Around.NAME]["surfaces"][protocol]
    losses = np.array([[np.nan if value is None else value for value in row] for row in found["losses"]])
    return SurfacePanel(str(one.label("strategy")), np.array(found["along"]), np.array(found["across"]), losses)


@dataclass(frozen=True)
class _Row:
    place: tuple[str, str]
    strategy: str
    number: str
    values: tuple[float, ...]
    p: float | None


def _sharpness(finished: Sequence[Finished]) -> list[_Row]:
    rows = []
    for place, strategies in by_strategy(finished).items():
        numbers = {
            name: {one.label("seed"): one.measured[Around.NAME]["sharpness"] for one in runs}
            for name, runs in strategies.items()
        }
        first = next(iter(numbers))
        for strategy, by_seed in numbers.items():
            shared = [seed for seed in by_seed if seed in numbers[first]] if strategy != first else []
            for number in NUMBERS:
                sides = [[side[seed][number] for seed in shared] for side in (by_seed, numbers[first])]
                values = tuple(one[number] for one in by_seed.values())
                rows.append(_Row(place, strategy, number, values, compare(*sides).t_p if shared else None))
    corrected = holm([row.p for row in rows])
    return [replace(row, p=p) for row, p in zip(rows, corrected, strict=True)]


def _table(rows: Sequence[_Row], radius: float) -> Table:
    columns = (
        *(Column(name) for name in ("data", "model", "strategy", "number")),
        *(Column(name, "number", 6) for name in ("mean", "deviation")),
        Column("runs", "number", 0),
        Column("p", "p"),
    )
    cells: tuple[tuple[Value, ...], ...] = tuple(
        (*row.place, row.strategy, row.number.replace("_", " "), *spread(row.values), len(row.values), row.p)
        for row in rows
    )
    note = (
        f"Of the training loss at the trained parameters: the largest rise found within a ball of radius {radius:g}, "
        "the mean rise at that distance in random directions, the largest eigenvalue of the Hessian; p of the paired "
        "t-test against the first strategy, corrected by Holm."
    )
    return Table("landscape", "Sharpness", columns, cells, note)


def _in_words(rows: Sequence[_Row]) -> tuple[str, ...]:
    sentences = []
    for row in rows:
        if row.number == "top_eigenvalue":
            sentences.append(
                f"The largest Hessian eigenvalue of {row.strategy} ({', '.join(row.place)}) is {fmean(row.values):.3g}."
            )
        if row.p is not None and row.p < LEVEL:
            name = row.number.replace("_", " ")
            sentences.append(f"The {name} of {row.strategy} differs from the first strategy's ({p_value(row.p)}).")
    return tuple(sentences)
