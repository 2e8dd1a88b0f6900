"""What is known of each epoch, and who wants to hear of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from flatrec.files import write_text


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch.

    Args:
        epoch: its number, from 1.
        loss: mean of the reported losses.
        train_seconds: time for its steps.
        evaluate_seconds: time for its validation, 0 where there was none.
        skipped: steps given up for a loss or gradient that was not finite.
        valid: validation metrics, empty where the epoch was not evaluated.
        monitor: the validation metric that decides, empty where the epoch was not evaluated.
        best: whether it is the epoch to keep, so far.
        trace: means that the strategy watched.
    """

    epoch: int
    loss: float | None
    train_seconds: float
    evaluate_seconds: float
    skipped: int
    valid: Mapping[str, float] = field(default_factory=dict)
    monitor: str = ""
    best: bool = False
    trace: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Observer(Protocol):
    """Hears of progress; it can change nothing."""

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Training begins: epochs are numbered from 1, ``steps`` is the number of updates of each."""

    def on_step(self, epoch: int, step: int) -> None:
        """A step is done; steps are numbered from 1."""

    def on_epoch(self, record: EpochRecord) -> None:
        """An epoch is done."""

    def on_end(self) -> None:
        """Training is over, by success or by error."""


def append_line(path: Path, record: EpochRecord) -> None:
    """Add a record to a JSON-lines file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record), allow_nan=False) + "\n")


def read_lines(path: Path) -> list[EpochRecord]:
    """The records of a JSON-lines file, up to a line cut short by a kill; none where there is no file."""
    records: list[EpochRecord] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            records.append(EpochRecord(**json.loads(line)))
        except (ValueError, TypeError):
            break
    return records


def cut_lines(path: Path, through: int) -> list[EpochRecord]:
    """The records up to an epoch, after cutting the file to them: a killed run may have written past its checkpoint."""
    kept = [record for record in read_lines(path) if record.epoch <= through]
    write_text(path, "".join(json.dumps(asdict(record)) + "\n" for record in kept))
    return kept
