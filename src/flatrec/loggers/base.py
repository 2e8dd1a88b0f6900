"""What a logger is, what it is told of a run, and the names under which it finds the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from flatrec.training.records import EpochRecord
from flatrec.utils.atomic_write import write_text

Status: TypeAlias = Literal["finished", "failed", "interrupted"]
Value: TypeAlias = bool | int | float | str | tuple[object, ...]


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What a logger is told of a run before its first epoch.

    Args:
        folder: run folder.
        own_folder: folder in the run folder for what the logger keeps there; the logger makes it, and ``--overwrite``
            removes it with the run.
        name: name of the run, that of its folder.
        data: name of the data set.
        model: name of the model, of a class of the user's own without its file.
        strategy: name of the strategy, likewise.
        seed: seed of everything random.
        settings: every setting by its dotted name, as ``--set`` takes it, such as ``model.embedding_dim``.
    """

    folder: Path
    own_folder: Path
    name: str
    data: str
    model: str
    strategy: str
    seed: int
    settings: Mapping[str, Value]


@runtime_checkable
class Logger(Protocol):
    """Where the settings, curves and scores of one run are written; made without arguments, once per run.

    An error that a method raises becomes a warning and never ends the training; after one, ``log`` is not called again
    for this run, ``end`` is.
    """

    def start(self, run: RunInfo, done: Sequence[EpochRecord]) -> None:
        """Begin to log a run.

        Args:
            run: what is known of it.
            done: the epochs that it has already, none unless it is resumed. They may have been logged before; so may
                later ones, which are trained and logged again.
        """

    def log(self, record: EpochRecord) -> None:
        """Write the curves of one epoch."""

    def end(self, status: Status, result: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        """Write the result and close what is open.

        Args:
            status: how the run ended; one that failed or was interrupted has no result and no artifacts.
            result: metrics of the epoch that was kept, such as ``result/test/recall@20``, and counts.
            artifacts: files, and with ``training.log_recommender`` the folder of the recommender.
        """


def curves(record: EpochRecord) -> dict[str, float]:
    """All numbers of an epoch by the names of their curves, which say what the number is before the slash.

    Example:
        >>> record = EpochRecord(epoch=1, loss=0.5, train_seconds=2.0, evaluate_seconds=0.5, skipped=0)
        >>> curves(record)["train/loss"]
        0.5
    """
    return {
        **({} if record.loss is None else {"train/loss": record.loss}),
        "train/skipped_steps": float(record.skipped),
        "train/is_best": float(record.best),
        "seconds/train": record.train_seconds,
        "seconds/evaluate": record.evaluate_seconds,
        **{f"valid/{name}": value for name, value in record.valid.items()},
        **{f"raw_valid/{name}": value for name, value in record.raw_valid.items()},
        **{f"diagnostics/{name}": value for name, value in record.diagnostics.items()},
    }


def kept_id(path: Path, new: Callable[[], str]) -> str:
    """The name under which a service knows a run, kept in a file of the run folder so that a resumed run has it too.

    Args:
        path: the file; is written if it is not there.
        new: gives the name of a new run.

    Raises:
        OSError: the file cannot be written.
    """
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, new() + "\n")
    return path.read_text(encoding="utf-8").strip()
