"""The folder of a run: locked before training, never overwritten by accident."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flatrec import config
from flatrec.config import MDVT, Evaluation, Experiment
from flatrec.data.dataset import Dataset
from flatrec.inference.storage import FOLDER as RECOMMENDER
from flatrec.inference.storage import has_recommender, remove_recommender
from flatrec.loggers.run_loggers import LOGS, TENSORBOARD
from flatrec.models import Baseline, Model
from flatrec.runs import warm_start
from flatrec.runs.origin import ORIGIN, Origin, keep_origin
from flatrec.runs.warm_start import WarmStart
from flatrec.training.identity import Identity
from flatrec.training.records import read_lines
from flatrec.training.trainer import CHECKPOINT, RECORDS
from flatrec.utils import user_classes
from flatrec.utils.atomic_write import check_target, sweep, write_text
from flatrec.utils.integrity import (
    MANIFEST,
    check_manifest,
    check_text,
    digest,
    read_sealed,
    read_text,
    seal,
    seal_text,
    write_manifest,
)
from flatrec.utils.locks import LOCK, lock_folder

EXPERIMENT, DATA, RESULT = "experiment.toml", "data.json", "result.json"
WINDOWS = "windows.json"  # in a folder of runs over windows
_WORK = (MANIFEST, RESULT, RECORDS, str(Path(CHECKPOINT).with_suffix(".json")), CHECKPOINT)
# In the order in which they are removed: what says that there is a run goes late, and after it what a run cannot be
# resumed without.
_OWN = (*_WORK, ORIGIN, DATA, EXPERIMENT, warm_start.RECORD, warm_start.VALUES)
_RETRAIN = "train again with --overwrite"
_RESTORE = f"put the file back as it was, or {_RETRAIN}"


@contextmanager
def lock_run_dir(
    folder: Path,
    experiment: Experiment,
    dataset: Dataset,
    *,
    resume: bool,
    overwrite: bool,
    origin: Origin | None = None,
    start: WarmStart | None = None,
    model: Model | Baseline | None = None,
) -> Iterator[None]:
    """Make a folder ready for a run, write down what the run will be, and lock the folder until the block ends.

    Args:
        folder: is made where it does not exist.
        experiment: with all defaults stated.
        dataset: what is trained on.
        resume: go on with the run in the folder, where there is one.
        overwrite: remove the run in the folder, where there is one.
        origin: the run that is repeated, if this is a final fit.
        start: what the model took over from an earlier run.
        model: the model with these parameters, which a new run keeps in its folder.

    Raises:
        FileExistsError: there is a run, and neither ``resume`` nor ``overwrite`` is given; or another process trains
            there.
        ValueError: the run to resume was of another experiment or other data, or repeats another run.
        OSError: the folder cannot be made or written to.
    """
    run = identity(experiment, dataset, start)
    data = {"name": dataset.name, "fingerprint": dataset.fingerprint, "split": _split(dataset), "run": run.digest}
    text = seal_text(config.write(experiment))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"cannot make the folder {folder}: {error.strerror}; choose one that can be written"
        ) from None
    for name in (*_OWN, LOCK):
        check_target(folder / name)
    for logged in (folder / TENSORBOARD, folder / LOGS):
        if logged.is_symlink():
            raise OSError(f"cannot write {logged}: it is a symbolic link; remove it or choose another folder")
    if windows(folder):
        raise FileExistsError(f"{folder} already holds runs over windows; choose another folder")
    with lock_folder(folder, "trains"):
        sweep(folder)
        if any((folder / name).exists() for name in _WORK) or has_run(folder):
            _check_or_remove(folder, experiment, dataset, resume=resume, overwrite=overwrite)
        keep_origin(folder, origin, begun=has_run(folder))
        if not has_run(folder):
            warm_start.keep(folder, start, model)
        (folder / MANIFEST).unlink(missing_ok=True)  # until the run has ended again
        write_text(folder / DATA, seal(data) + "\n")
        write_text(folder / EXPERIMENT, text)
        yield


def has_run(folder: Path) -> bool:
    """Return True if a run was begun in the folder, so that it can be resumed."""
    return (folder / EXPERIMENT).exists() and (folder / DATA).exists()


def has_result(folder: Path) -> bool:
    """Return True if a run in the folder was finished, whether or not its files are in order."""
    return (folder / RESULT).is_file()


def window_name(number: int | str) -> str:
    """Return the name of the run folder of a window, in the folder of runs over windows."""
    return f"window-{number}"


def windows(folder: Path) -> list[Path]:
    """Return the run folders of windows in a folder."""
    return sorted(path for path in folder.glob(window_name("*")) if path.is_dir())


def recorded_identity(folder: Path) -> str:
    """Return the digest by which the run in a folder is told from others.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: its record is damaged.
    """
    return str(_data(folder).get("run"))


def clear(folder: Path) -> None:
    """Remove the run in a folder, where there is one; files of other programs stay.

    Raises:
        FileExistsError: another process trains there.
    """
    if folder.is_dir():
        with lock_folder(folder, "trains"):
            _remove(folder)


def _check_or_remove(folder: Path, experiment: Experiment, dataset: Dataset, *, resume: bool, overwrite: bool) -> None:
    if resume:
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
    for name in (TENSORBOARD, LOGS):
        shutil.rmtree(folder / name, ignore_errors=True)
    remove_recommender(folder)


def finish(folder: Path, result: Mapping[str, Any], run: Identity) -> None:
    """Write the result of a run and the digests of all its files, which says that the run is finished.

    Raises:
        OSError: the folder cannot be written to.
    """
    (folder / warm_start.VALUES).unlink(missing_ok=True)  # the checkpoint has gone on from them
    write_text(folder / RESULT, seal({**result, "run": run.digest}) + "\n")
    write_manifest(folder, [name for name in _OWN if name != MANIFEST and (folder / name).exists()])


def read_result(folder: Path) -> dict[str, Any]:
    """The ``result.json`` of a finished run.

    Raises:
        FileNotFoundError: the folder holds none.
        ValueError: it is damaged.
    """
    path = folder / RESULT
    if not path.is_file():
        _check_no_windows(folder)
        raise FileNotFoundError(f"{folder} holds no finished run (no {RESULT}); train one there, or resume it")
    check_manifest(folder, advice=_RESTORE)
    result = read_sealed(path, advice=_RETRAIN)
    run = result.pop("run", None)
    if "test" not in result:
        raise ValueError(f"{path} is damaged (it holds no test scores); {_RETRAIN}")
    if run != _data(folder).get("run"):
        raise ValueError(f"{path} belongs to another run than {DATA} beside it; {_RESTORE}")
    return result


def read_experiment(folder: Path) -> Experiment:
    """The settings of the run in a folder.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: they are damaged or were edited.
    """
    path = folder / EXPERIMENT
    if not path.is_file():
        _check_no_windows(folder)
        raise FileNotFoundError(f"{folder} holds no run (no {EXPERIMENT}); name the folder that training wrote to")
    check_text(read_text(path, advice=_RESTORE), path, advice=_RESTORE)
    return config.read(path)


def _check_no_windows(folder: Path) -> None:
    if runs := windows(folder):
        raise FileNotFoundError(f"{folder} holds runs over {len(runs)} windows; name one of them, such as {runs[-1]}")


def identity(experiment: Experiment, dataset: Dataset, start: WarmStart | None = None) -> Identity:
    """The identity of a run with all defaults stated, by which its files are told from those of any other run.

    Args:
        experiment: with all defaults stated.
        dataset: what is trained on.
        start: what the run took over from an earlier one.
    """
    decisive = {name: value for name, value in _settings(experiment).items() if value is not None}
    if start is not None:
        decisive["init_from"] = start.values
    return Identity(
        model=user_classes.identity(experiment.model.name),
        strategy=user_classes.identity(experiment.strategy.name),
        seed=experiment.seed,
        data=dataset.fingerprint,
        settings=digest(json.dumps(decisive, sort_keys=True)),
    )


def is_of(folder: Path, dataset: Dataset) -> bool:
    """Return True if the run in a folder was made from this data set.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: its record is damaged.
    """
    return bool(_data(folder)["fingerprint"] == dataset.fingerprint)


def check_data(folder: Path, dataset: Dataset) -> None:
    """Make sure that a run was made from this data set.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: the run was made from other data, or its record is damaged.
    """
    data = _data(folder)
    if data["fingerprint"] != dataset.fingerprint:
        before, now = data.get("split", {}), _split(dataset)
        if before != now:
            raise ValueError(
                f"{folder} was trained on another split ({_differences(before, now, 'split.')}); split as it was, or "
                "train in another folder"
            )
        raise ValueError(
            f"{folder} was trained on other data than {dataset.name!r} now holds (interactions, split, ids or "
            f"features differ); give the data it was trained on, or train again{advice_without_data(folder)}"
        )


def advice_without_data(folder: Path) -> str:
    """Return the end of a message on data that are gone or changed: what answers without them, where there is it."""
    if not has_recommender(folder):
        return ""
    return (
        f"; without the model, {folder / RECOMMENDER} answers: flatrec recommend, similar, evaluate and export, or "
        f"flatrec.load_recommender in Python"
    )


def _split(dataset: Dataset) -> dict[str, Any]:
    """The settings of a split as JSON holds them."""
    split: dict[str, Any] = json.loads(json.dumps(dataset.split_report.settings.given))
    return split


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> str:
    """The values that differ, with both of them."""
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(f"{prefix}{name} was {before.get(name)!r}, now {now.get(name)!r}" for name in changed)


def _data(folder: Path) -> dict[str, Any]:
    path = folder / DATA
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no run (no {DATA}); name the folder that training wrote to")
    data = read_sealed(path, advice=_RESTORE)
    if not isinstance(data.get("fingerprint"), str):
        raise ValueError(f"{path} is damaged (it holds no fingerprint); {_RESTORE}")
    return data


def check_same(folder: Path, experiment: Experiment, dataset: Dataset) -> None:
    """Make sure that a run can go on as this experiment.

    Raises:
        ValueError: the data or a setting differ, other than by more epochs.
    """
    check_data(folder, dataset)
    earlier = read_experiment(folder)
    if experiment.training.epochs < earlier.training.epochs:
        raise ValueError(
            f"{folder} holds a run of {earlier.training.epochs} epochs, which cannot be cut to "
            f"{experiment.training.epochs}; resume with as many or more, or choose another folder"
        )
    last, every = earlier.training.epochs, earlier.training.evaluate_every
    if experiment.training.epochs > last and last % every and _evaluated(folder, last):
        raise ValueError(
            f"{folder} holds a run whose last epoch, {last}, is evaluated out of turn (every {every}), so "
            "going on would not equal an uninterrupted run; choose another folder"
        )
    before, now = _settings(earlier), _settings(experiment)
    user_classes.check_unchanged(earlier.model.name, experiment.model.name)
    user_classes.check_unchanged(earlier.strategy.name, experiment.strategy.name)
    for recorded, metric in itertools.product(earlier.evaluation.metrics, experiment.evaluation.metrics):
        user_classes.check_unchanged(recorded, metric)
    if differences := _differences(before, now):
        raise ValueError(
            f"{folder} holds a run with other settings ({differences}); resume with the same settings "
            "(only training.epochs may grow), or choose another folder"
        )


def _evaluated(folder: Path, epoch: int) -> bool:
    return any(record.epoch == epoch and record.valid for record in read_lines(folder / RECORDS))


def _settings(experiment: Experiment) -> dict[str, Any]:
    """The settings that decide the numbers of an epoch, by dotted name; the others are None.

    How many processes share the work is among the others, as the device is: a run may go on with another number. Those
    of the split are among the others, since the fingerprint of the data tells the split, and so are those of
    virtual triplets that have no weight: runs that were recorded before there were any are of the same settings.
    """
    options = ("epochs", "parallel", "checkpoint_every", "save_recommender", "loggers", "log_recommender")
    free = ["data", *(f"training.{name}" for name in options)]
    idle = [] if experiment.training.mdvt.weight else [f"training.mdvt.{name}" for name in MDVT.model_fields]
    decisive = experiment.evaluation.decisive
    names = {
        "model.name": user_classes.identity(experiment.model.name),
        "strategy.name": user_classes.identity(experiment.strategy.name),
        **{f"evaluation.{name}": decisive.get(name) for name in Evaluation.model_fields},
    }
    all_settings = config.settings(experiment) | names | dict.fromkeys([*free, *idle])
    return {name: value for name, value in all_settings.items() if not name.startswith("split.")}
