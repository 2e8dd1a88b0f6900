"""Training curves for TensorBoard."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from flatrec.loggers.base import RunInfo, Status, curves
from flatrec.training.records import EpochRecord

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

_FILES = "events.out.tfevents."

logger = logging.getLogger(__name__)


class TensorBoard:
    """A logger that writes scalars of every epoch and of the result, and the settings for TensorBoard's tab HPARAMS.

    Scalars are float32, as TensorBoard has them. Events are written at once, not by a thread as in torch's
    ``SummaryWriter``, whose errors would be lost. Without the package ``tensorboard`` nothing is written. Artifacts
    are in the run folder already.
    """

    def __init__(self) -> None:
        self._file: BinaryIO | None = None

    def start(self, run: RunInfo, done: Sequence[EpochRecord]) -> None:
        """Note what will be written; the first epoch opens the event file.

        TensorBoard then hides points of later epochs that an interrupted run has written.
        """
        self._run, self._done, self._step = run, done, len(done)
        if find_spec("tensorboard") is None:
            logger.info("no curves are written, as tensorboard is not installed; pip install 'flatrec[tensorboard]'")

    def log(self, record: EpochRecord) -> None:
        """Write one point per curve.

        Raises:
            OSError: the disk is full.
        """
        if self._opened():
            self._step = record.epoch
            self._write_scalars(curves(record))

    def end(self, status: Status, result: Mapping[str, float], artifacts: Sequence[Path]) -> None:  # noqa: ARG002
        """Write the result one step after the last epoch, where a run that goes on takes its place; close the file.

        Raises:
            OSError: the disk is full.
        """
        try:
            if result and self._step and self._opened():
                self._step += 1
                self._write_scalars(result)
        finally:
            if self._file is not None:
                self._file.close()

    def _opened(self) -> bool:
        """Open a new event file where none is open; return False if tensorboard is not installed."""
        if self._file is None and find_spec("tensorboard") is not None:
            from tensorboard.compat.proto.event_pb2 import SessionLog

            folder, first = self._run.own_folder, self._step + 1
            folder.mkdir(parents=True, exist_ok=True)
            is_new = not any(folder.glob(f"{_FILES}*"))
            name = f"{_FILES}{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
            self._file = (folder / name).open("xb")
            self._write(_event(file_version="brain.Event:2"))
            self._write(_event(step=first, session_log=SessionLog(status=SessionLog.START)))
            if is_new:
                self._write_settings()
                for record in self._done:
                    self._step = record.epoch
                    self._write_scalars(curves(record))
        return self._file is not None

    def _write_settings(self) -> None:
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        values = {name: str(value) if isinstance(value, tuple) else value for name, value in self._run.settings.items()}
        self._write(_event(summary=hparams_pb(values, trial_id=self._run.name)))

    def _write_scalars(self, scalars: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        self._write(_event(step=self._step, summary=Summary(value=values)))

    def _write(self, event: Event) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        assert self._file is not None
        writer = RecordWriter(self._file)
        writer.write(event.SerializeToString())
        writer.flush()


def _event(**fields: object) -> Event:
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=time.time(), **fields)
