"""The record of each epoch, and callbacks that receive it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from flatrec.utils.atomic_write import check_target, write_text
from flatrec.utils.integrity import read_text, seal, unseal


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """What is known of one epoch.

    Args:
        epoch: its number, from 1.
        loss: mean of the reported losses.
        train_seconds: time for its steps.
        evaluate_seconds: time for its validation, 0 if there was none.
        skipped: steps skipped because a loss or gradient was not finite.
        valid: validation metrics, empty if the epoch was not evaluated; with ``training.average`` those of the averaged
            weights, empty too before averaging begins.
        raw_valid: validation metrics of the weights that were not averaged, which decide nothing; empty without
            averaging.
        monitor: the validation metric that decides, empty if the epoch was not evaluated.
        best: whether it is the best epoch so far.
        diagnostics: means of what the strategy measured.
    """

    epoch: int
    loss: float | None
    train_seconds: float
    evaluate_seconds: float
    skipped: int
    valid: Mapping[str, float] = field(default_factory=dict)
    raw_valid: Mapping[str, float] = field(default_factory=dict)
    monitor: str = ""
    best: bool = False
    diagnostics: Mapping[str, float] = field(default_factory=dict)


_ADVICE = "put back the file as it was, or train again with --overwrite"
_ADAPTER = TypeAdapter(EpochRecord)


@runtime_checkable
class Callback(Protocol):
    """An object that is informed of progress and cannot influence training."""

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Training begins; epochs are numbered from 1, ``steps`` is the number of steps per epoch."""

    def on_step(self, epoch: int, step: int) -> None:
        """A step is done; steps are numbered from 1."""

    def on_epoch(self, record: EpochRecord) -> None:
        """An epoch is done."""

    def on_end(self) -> None:
        """Training has ended, by success or by error."""


def append_line(path: Path, record: EpochRecord, run: str = "") -> None:
    """Add a record to a JSON-lines file, with the run that it belongs to and a digest.

    Raises:
        OSError: the disk is full, or the path is a link.
    """
    check_target(path)
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(_line(record, run))
            file.flush()
            os.fsync(file.fileno())  # the lines must be on the disk before the checkpoint is
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror}; free some space, then resume") from None


def read_lines(path: Path, run: str | None = None) -> list[EpochRecord]:
    """Return the records of a JSON-lines file, without a last line that is incomplete; none if there is no file.

    ``run`` is the digest of the run that they must belong to; without it, they must all belong to one run.

    Raises:
        ValueError: a line is damaged or of another run, or epochs are missing, repeated or out of order.
    """
    lines = read_text(path, advice=_ADVICE).split("\n")[:-1] if path.exists() else []  # the last one is incomplete
    records: list[EpochRecord] = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number},"
        values = unseal(line, where, advice=_ADVICE)
        recorded = values.pop("run", None)
        run = recorded if run is None else run
        record = record_of(values, where)
        if recorded != run or record.epoch != number:
            raise ValueError(f"{where} belongs to another run or to epoch {record.epoch}; {_ADVICE}")
        records.append(record)
    return records


def record_of(values: object, where: str) -> EpochRecord:
    """Return a record, given the values of its JSON object.

    Raises:
        ValueError: a value is missing, unknown or of another type.
    """
    try:
        return _ADAPTER.validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(
            f"{where} is damaged ({'.'.join(map(str, first['loc']))}: {first['msg'].lower()}); {_ADVICE}"
        ) from None


def write_lines(path: Path, records: Sequence[EpochRecord], run: str = "") -> None:
    """Write a JSON-lines file atomically.

    Raises:
        OSError: the folder cannot be written to.
    """
    write_text(path, "".join(_line(record, run) for record in records))


def _line(record: EpochRecord, run: str) -> str:
    return seal({**asdict(record), "run": run}, indent=None) + "\n"
