"""Records of finished trials and finals: one sealed line of JSON each, with which a league goes on anywhere."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from flatrec.config import Experiment, settings
from flatrec.evaluation.metrics import higher_is_better
from flatrec.research.league.curve import Curve, GradientCount, Point
from flatrec.utils import user_classes
from flatrec.utils.atomic_write import check_target, write_text
from flatrec.utils.integrity import read_text, seal, unseal

TRIALS, FINALS = "trials.jsonl", "finals.jsonl"
FREE = (  # settings that change no score
    "data",
    "device",
    "optimizer.fused",
    "training.checkpoint_every",
    "training.log_recommender",
    "training.loggers",
    "training.save_recommender",
)
CLASSES = ("model.name", "strategy.name")  # a user's own class is the same one wherever its file lies
ADVICE = "put back the file as it was, or remove the line, whose run is then made again"

Kind = Literal["trial", "final"]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True)
class Record:
    """What is kept of a run.

    Args:
        kind: ``trial`` or ``final``; a trial has no scores of the test split.
        cell: name of the cell.
        method: name of the method.
        number: number of the trial, from 0; or place of the final seed, from 0.
        seed: seed of the run.
        point: values that the trial tried, or those of the finalist.
        settings: all settings of the run by dotted name, except those that change no score.
        fingerprint: fingerprint of the data.
        version: version of flatrec.
        torch: version of torch.
        device: kind of device that trained it.
        monitor: metric that was monitored on validation.
        window: number of evaluations whose mean is the score.
        gradients_per_step: gradients of batches per step, on average.
        steps: steps per epoch.
        start_epoch: epochs before the first perturbation, in which steps are plain.
        plain_gradients_per_step: gradients of a step of these epochs.
        epochs: number of epochs that were trained.
        best_epoch: epoch that was kept.
        seconds: seconds of training, without evaluations.
        score: validation score of the kept epoch, the mean over the window; None for a run that diverged.
        curve: evaluations on validation: epoch, gradients, seconds and score of each.
        test: metrics of the test split, for a final.
        disturbed: metrics of the test split under disturbances, by kind and level, such as ``vectors=0.5``; one per
            draw.
        error: why there is no score; empty if there is one.
    """

    kind: Kind
    cell: str
    method: str
    number: int
    seed: int
    point: Mapping[str, Any]
    settings: Mapping[str, Any]
    fingerprint: str
    version: str
    torch: str
    device: str
    monitor: str
    window: int
    gradients_per_step: float
    steps: int
    start_epoch: float = 0.0
    plain_gradients_per_step: float = 1.0
    epochs: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    score: float | None = None
    curve: tuple[Point, ...] = ()
    test: Mapping[str, float] = field(default_factory=dict)
    disturbed: Mapping[str, tuple[Mapping[str, float], ...]] = field(default_factory=dict)
    error: str = ""

    @property
    def gradients(self) -> float:
        """Gradients of batches that the run computed."""
        return self.gradient_count.until(self.epochs)

    @property
    def gradient_count(self) -> GradientCount:
        """Gradients of batches over epochs."""
        return GradientCount(self.gradients_per_step, self.steps, self.start_epoch, self.plain_gradients_per_step)

    @property
    def validation(self) -> Curve:
        """The validation curve."""
        return Curve(self.curve, self.window, higher_is_better(self.monitor))


_ADAPTER = TypeAdapter(Record)


def decisive_settings(experiment: Experiment) -> dict[str, Any]:
    """Return all settings of a run by dotted name, as JSON has them, except those that change no score."""
    found = {
        name: user_classes.identity(value) if name in CLASSES else value
        for name, value in settings(experiment).items()
        if name not in FREE and value is not None
    }
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


@dataclass(frozen=True)
class Wanted:
    """A run for which a record is looked up.

    Args:
        kind: trial or final.
        settings: all settings that decide its score, with its seed.
        stated: dotted names of the settings that the league states or tries.
        cells: names of the cells of the same data.
        fingerprint: fingerprint of the data; None where the data are not at hand, and the name of the cell and the
            settings of the split decide.
    """

    kind: Kind
    settings: Mapping[str, Any]
    stated: frozenset[str]
    cells: frozenset[str]
    fingerprint: str | None

    def fits(self, record: Record) -> bool:
        """Return True if a record is of this run.

        Settings that a record does not have, since it was written before they existed, must be left at their default.
        """
        if record.kind != self.kind or not self._same_data(record):
            return False
        if any(record.settings.get(name, value) != value for name, value in self.settings.items()):
            return False
        return all(name in record.settings for name in self.stated if name in self.settings)

    def _same_data(self, record: Record) -> bool:
        if self.fingerprint is not None:
            return record.fingerprint == self.fingerprint
        return record.cell in self.cells and _split(record.settings) == _split(self.settings)


def _split(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the split."""
    return {name: value for name, value in settings.items() if name.startswith("split.")}


class RecordFiles:
    """The records of a league in its folder.

    Args:
        folder: folder of ``trials.jsonl`` and ``finals.jsonl``.

    Raises:
        ValueError: a line is damaged or was edited.
    """

    def __init__(self, folder: Path) -> None:
        self.paths: dict[Kind, Path] = {"trial": folder / TRIALS, "final": folder / FINALS}
        self.records: dict[Kind, list[Record]] = {kind: _read(path) for kind, path in self.paths.items()}
        self.used: set[int] = set()

    def find(self, wanted: Wanted) -> Record | None:
        """Return the record of a run; None if there is none yet."""
        for record in self.records[wanted.kind]:
            if wanted.fits(record):
                self.used.add(id(record))
                return record
        return None

    def add(self, record: Record) -> None:
        """Append a record to its file.

        Raises:
            OSError: the disk is full, or the file is a link.
        """
        path = self.paths[record.kind]
        check_target(path)
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(line_of(record))
            file.flush()
            os.fsync(file.fileno())  # the run folder, which holds the same, is removed next
        self.records[record.kind].append(record)
        self.used.add(id(record))

    def repair(self) -> None:
        """Remove a last line that a killed process left incomplete."""
        for kind, path in self.paths.items():
            if path.exists() and not path.read_bytes().endswith(b"\n"):
                write_text(path, "".join(map(line_of, self.records[kind])))

    def unused(self) -> int:
        """Return how many records no run of this league asked for."""
        return sum(id(record) not in self.used for records in self.records.values() for record in records)


def line_of(record: Record) -> str:
    """Return the line of a record."""
    return seal(asdict(record), indent=None) + "\n"


def by_run(records: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    """Group records by cell and method, in the order of their numbers."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in sorted(records, key=lambda record: record.number):
        groups.setdefault((record.cell, record.method), []).append(record)
    return groups


def _read(path: Path) -> list[Record]:
    lines: Sequence[str] = read_text(path, advice=ADVICE).split("\n")[:-1] if path.exists() else []
    return [_record(line, f"{path}, line {number},") for number, line in enumerate(lines, start=1)]


def _record(line: str, where: str) -> Record:
    values = unseal(line, where, advice=ADVICE)
    try:
        return _ADAPTER.validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(
            f"{where} is damaged ({'.'.join(map(str, first['loc']))}: {first['msg'].lower()}); {ADVICE}"
        ) from None
