"""Training curves for TensorBoard."""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path
from typing import BinaryIO

from flatrec.training.records import EpochRecord

logger = logging.getLogger(__name__)


class TensorBoard:
    """A callback that writes loss, validation metrics, diagnostics and seconds of every epoch as scalars.

    Events are written at once, not by a thread as in torch's ``SummaryWriter``, whose errors would be lost.

    Without the package ``tensorboard`` nothing is written.

    Args:
        folder: where the event files are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: BinaryIO | None = None

    def on_start(self, first_epoch: int, _epochs: int, _steps: int) -> None:
        """Open the event file; TensorBoard then hides points of later epochs that an interrupted run has written.

        Raises:
            OSError: the folder cannot be written to.
        """
        try:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # takes a second to import
        except ModuleNotFoundError:
            logger.info("no curves are written, as tensorboard is not installed; pip install 'flatrec[tensorboard]'")
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        self._file = (self.folder / name).open("xb")
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        begun = Event(wall_time=time.time(), step=first_epoch, session_log=SessionLog(status=SessionLog.START))
        self._write(begun.SerializeToString())

    def on_step(self, epoch: int, step: int) -> None:
        """Write nothing; there are no curves by step."""

    def on_epoch(self, record: EpochRecord) -> None:
        """Write one point per curve.

        Raises:
            OSError: the disk is full.
        """
        if self._file is None:  # tensorboard is not installed
            return
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        scalars = {
            **({} if record.loss is None else {"train/loss": record.loss}),
            "seconds/train": record.train_seconds,
            **{f"valid/{name}": value for name, value in record.valid.items()},
            **{f"diagnostics/{name}": value for name, value in record.diagnostics.items()},
        }
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        event = Event(wall_time=time.time(), step=record.epoch, summary=Summary(value=values))
        self._write(event.SerializeToString())

    def on_end(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _write(self, event: bytes) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        assert self._file is not None
        try:
            writer = RecordWriter(self._file)
            writer.write(event)
            writer.flush()
        except OSError as error:
            raise OSError(
                f"cannot write curves to {self.folder}: {error.strerror}; free some space, or set training.tensorboard "
                "to false, then resume"
            ) from None
