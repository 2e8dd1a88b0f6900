"""The folder of a run: claimed before training, never overwritten by accident."""

from __future__ import annotations

import errno
import json
import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flatrec import config, user_classes
from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.files import write_text
from flatrec.training.records import read_lines
from flatrec.training.trainer import CHECKPOINT, RECORDS

EXPERIMENT, DATA, RESULT = "experiment.toml", "data.json", "result.json"
LOCK = ".lock"
_WORK = (RESULT, RECORDS, CHECKPOINT, str(Path(CHECKPOINT).with_suffix(".json")))
_OWN = (*_WORK, DATA, EXPERIMENT)  # in the order in which they are removed: what tells of the others goes last

logger = logging.getLogger(__name__)


@contextmanager
def claimed(folder: Path, experiment: Experiment, dataset: Dataset, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """A folder that is ready for a run, says what the run will be, and is no other process's until the block ends.

    Args:
        folder: made where it is not there.
        experiment: resolved.
        dataset: what is trained on.
        resume: go on with the run in the folder, where there is one.
        overwrite: remove the run in the folder, where there is one.

    Raises:
        FileExistsError: there is a run, and neither is asked for; or another process trains there.
        ValueError: the run to resume was of another experiment or other data.
        OSError: the folder cannot be made or written to.
    """
    data = json.dumps({"name": dataset.name, "fingerprint": dataset.fingerprint}, indent=2) + "\n"
    text = config.write(experiment)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"cannot make the folder {folder}: {error.strerror}; choose one that can be written"
        ) from None
    with _locked(folder):
        if any((folder / name).exists() for name in _WORK) or holds_run(folder):
            _give_way(folder, experiment, dataset, resume=resume, overwrite=overwrite)
        _sweep(folder)
        write_text(folder / DATA, data)
        write_text(folder / EXPERIMENT, text)
        yield


def holds_run(folder: Path) -> bool:
    """Whether a run was begun in the folder, so that it can be resumed."""
    return (folder / EXPERIMENT).exists() and (folder / DATA).exists()


def clear(folder: Path) -> None:
    """Remove the run in a folder, where there is one; files that are not ours stay.

    Raises:
        FileExistsError: another process trains there.
    """
    if folder.is_dir():
        with _locked(folder):
            _remove(folder)


def _give_way(folder: Path, experiment: Experiment, dataset: Dataset, *, resume: bool, overwrite: bool) -> None:
    if resume and holds_run(folder):
        check_same(folder, experiment, dataset)
    elif overwrite:
        _remove(folder)
    else:
        raise FileExistsError(
            f"{folder} already holds a run; resume it (--resume), replace it (--overwrite), or choose another folder"
        )


def _remove(folder: Path) -> None:
    for name in _OWN:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what a kill left of files that were being written; see :func:`flatrec.files.replacing`."""
    for name in _OWN:
        for leftover in folder.glob(f".{name}.{'[0-9a-f]' * 32}{Path(name).suffix}"):
            leftover.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes; where the system has no such lock, do without."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    try:
        file = (folder / LOCK).open("w")
    except OSError as error:
        raise type(error)(f"cannot write to {folder}: {error.strerror}; choose a folder that is writable") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileExistsError(
                f"another process trains in {folder}; wait for it, or choose another folder"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
            logger.warning("%s cannot be locked; do not train there from two processes at once", folder)
        yield


def read_result(folder: Path) -> dict[str, Any]:
    """The ``result.json`` of a finished run.

    Raises:
        FileNotFoundError: the folder holds none.
        ValueError: it is damaged.
    """
    path = folder / RESULT
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no finished run (no {RESULT}); train one there, or resume it")
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); train again with --overwrite") from None
    if not isinstance(result, dict) or "test" not in result:
        raise ValueError(f"{path} is damaged (it holds no test scores); train again with --overwrite")
    return result


def check_data(folder: Path, dataset: Dataset) -> None:
    """Make sure that a run was made from this data set.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: the run was made from other data, or its record is damaged.
    """
    path = folder / DATA
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no run (no {DATA}); name the folder that training wrote to")
    try:
        fingerprint = json.loads(path.read_text(encoding="utf-8"))["fingerprint"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); train again with --overwrite") from None
    if fingerprint != dataset.fingerprint:
        raise ValueError(
            f"{folder} was trained on other data than {dataset.name!r} now holds (pairs, split, ids or features "
            "differ); give the data it was trained on, or train again"
        )


def check_same(folder: Path, experiment: Experiment, dataset: Dataset) -> None:
    """Make sure that a run can go on as this experiment.

    Raises:
        ValueError: the data or a setting differ, other than by more epochs.
    """
    check_data(folder, dataset)
    earlier = config.read(folder / EXPERIMENT)
    if experiment.training.epochs < earlier.training.epochs:
        raise ValueError(
            f"{folder} holds a run of {earlier.training.epochs} epochs, which cannot be cut to "
            f"{experiment.training.epochs}; resume with as many or more, or choose another folder"
        )
    last = earlier.training.epochs
    grown = experiment.training.epochs > last
    if grown and last % earlier.training.evaluate_every and _reached(folder, last):
        raise ValueError(
            f"{folder} holds a run whose last epoch, {earlier.training.epochs}, is evaluated out of turn "
            f"(every {earlier.training.evaluate_every}), so going on would not equal an uninterrupted run; "
            "choose another folder"
        )
    before, now = _settings(earlier), _settings(experiment)
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    for one in ("model", "strategy"):
        user_classes.check_unchanged(getattr(earlier, one).name, getattr(experiment, one).name)
    if changed:
        what = ", ".join(f"{name} was {before.get(name)!r}, now {now.get(name)!r}" for name in changed)
        raise ValueError(
            f"{folder} holds a run with other settings ({what}); resume with the same settings (only training.epochs "
            "may grow), or choose another folder"
        )


def _reached(folder: Path, epoch: int) -> bool:
    return any(record.epoch == epoch for record in read_lines(folder / RECORDS))


def _settings(experiment: Experiment) -> dict[str, Any]:
    """The settings that decide an epoch's bits, by dotted name."""
    free = ("data", "training.epochs", "training.checkpoint_every", "training.tensorboard")
    names = {
        "model.name": user_classes.identity(experiment.model.name),
        "strategy.name": user_classes.identity(experiment.strategy.name),
    }
    return config.settings(experiment) | names | dict.fromkeys(free)
