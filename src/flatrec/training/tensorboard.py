"""Training curves for TensorBoard."""

from __future__ import annotations

from pathlib import Path

from flatrec.training.records import EpochRecord


class TensorBoard:
    """Writes loss, validation metrics, trace and seconds of every epoch as scalars.

    Args:
        folder: where the event files go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:  # noqa: ARG002
        """Open the event file; curves of epochs that a killed run had begun are purged."""
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import, so only where it is used

        self.writer = SummaryWriter(str(self.folder), purge_step=first_epoch)

    def on_step(self, epoch: int, step: int) -> None:
        """Nothing a step."""

    def on_epoch(self, record: EpochRecord) -> None:
        """One point a curve."""
        scalars = {
            **({} if record.loss is None else {"train/loss": record.loss}),
            "seconds/train": record.train_seconds,
            **{f"valid/{name}": value for name, value in record.valid.items()},
            **{f"trace/{name}": value for name, value in record.trace.items()},
        }
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, record.epoch)
        self.writer.flush()

    def on_end(self) -> None:
        """Close the file."""
        self.writer.close()
