"""Checkpoints written while training goes on, where a device works on its own."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from flatrec.training import checkpoint as checkpoints
from flatrec.training.checkpoint import Checkpoint

logger = logging.getLogger(__name__)


class CheckpointWriter:
    """Writes checkpoints; for a GPU by CUDA in a thread, from a copy that the GPU makes before its next step.

    On a CPU, which would have to share its cores with the thread, a checkpoint is written at once. At most one is being
    written: the next one waits for it. At the end of the block everything is on disk.

    Args:
        device: the device of what is saved.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, CheckpointWriter(torch.device("cpu")) as writer:
        ...     writer.write(Path(folder) / "a.safetensors", Checkpoint({"model.a": torch.ones(2)}, {}))
        ...     checkpoints.load(Path(folder) / "a.safetensors").section("model")["a"].tolist()
        [1.0, 1.0]
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._threads: ThreadPoolExecutor | None = None
        self._writing: Future[None] | None = None

    def write(self, path: Path, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, or let it be written; what its tensors are from now on does not matter.

        Raises:
            OSError: this one or the one before cannot be written; an older checkpoint stays as it was.
        """
        if not writes_meanwhile(self.device):
            checkpoints.save(path, checkpoint)
            return
        self.wait()
        self._threads = self._threads or ThreadPoolExecutor(1, "checkpoint")
        copies = Checkpoint({name: _copy(tensor) for name, tensor in checkpoint.tensors.items()}, checkpoint.metadata)
        self._writing = self._threads.submit(_save, path, copies, _copied(self.device))

    def wait(self) -> None:
        """Wait until the last checkpoint is written.

        Raises:
            OSError: it cannot be written.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def __enter__(self) -> CheckpointWriter:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the last checkpoint; where another error ends the block, one of writing is a line in the log."""
        try:
            self.wait()
        except OSError as of_writing:
            if error is None:
                raise
            logger.warning("%s", of_writing)
        finally:
            threads, self._threads = self._threads, None
            if threads is not None:
                threads.shutdown()


def writes_meanwhile(device: torch.device) -> bool:
    """Return True if checkpoints of a device are written while training goes on."""
    return device.type == "cuda"


def _save(path: Path, checkpoint: Checkpoint, copied: torch.cuda.Event | None) -> None:
    if copied is not None:
        copied.synchronize()
    checkpoints.save(path, checkpoint)


def _copy(tensor: Tensor) -> Tensor:
    """Return a copy on the CPU; that of a GPU is made by the GPU in its turn, before any later step."""
    if tensor.device.type != "cuda":
        return tensor.detach().cpu().clone()
    copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return copy.copy_(tensor.detach(), non_blocking=True)


def _copied(device: torch.device) -> torch.cuda.Event | None:
    """Return what says that a GPU has made its copies; None for other devices."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event
