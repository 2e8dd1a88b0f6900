"""The folder of a run: claimed before training, never overwritten by accident."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flatrec import config
from flatrec.config import Component, Experiment
from flatrec.data.dataset import Dataset
from flatrec.files import write_text

EXPERIMENT, DATA, RESULT = "experiment.toml", "data.json", "result.json"
_OWN = (EXPERIMENT, DATA, RESULT, "epochs.jsonl", *(f"{name}.{end}" for name in ("checkpoint", "best")
        for end in ("safetensors", "json")))  # fmt: skip


def claim(folder: Path, experiment: Experiment, dataset: Dataset, *, resume: bool, overwrite: bool) -> None:
    """Make the folder ready for a run and write down what the run will be.

    Args:
        folder: made where it is not there.
        experiment: resolved.
        dataset: what is trained on.
        resume: go on with the run in the folder, where there is one.
        overwrite: remove the run in the folder, where there is one.

    Raises:
        FileExistsError: there is a run, and neither is asked for.
        ValueError: the run to resume was of another experiment or other data.
        OSError: the folder cannot be made or written to.
    """
    held = (folder / EXPERIMENT).exists() or (folder / RESULT).exists()
    if held and resume:
        _check_same(folder, experiment, dataset)
    elif held and not overwrite:
        raise FileExistsError(
            f"{folder} already holds a run; resume it (--resume), replace it (--overwrite), or choose another folder"
        )
    elif held:
        _clear(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"cannot make the folder {folder}: {error.strerror}; choose one that can be written"
        ) from None
    data = {"name": dataset.name, "fingerprint": dataset.fingerprint}
    write_text(folder / DATA, json.dumps(data, indent=2) + "\n")
    write_text(folder / EXPERIMENT, config.write(experiment))


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


def _check_same(folder: Path, experiment: Experiment, dataset: Dataset) -> None:
    check_data(folder, dataset)
    before, now = (_settings(one) for one in (config.read(folder / EXPERIMENT), experiment))
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if changed:
        what = ", ".join(f"{name} was {before.get(name)!r}, now {now.get(name)!r}" for name in changed)
        raise ValueError(
            f"{folder} holds a run with other settings ({what}); resume with the same settings (only training.epochs "
            "may grow), or choose another folder"
        )


def _settings(experiment: Experiment) -> dict[str, Any]:
    """The settings that decide an epoch's bits, by dotted name."""
    parts = {name: one for name, one in vars(experiment).items() if isinstance(one, Component)}
    groups = {
        **{name: {"name": one.name, **one.options} for name, one in parts.items()},
        "training": asdict(experiment.training),
        "evaluation": asdict(experiment.evaluation),
    }
    flat = {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}
    return {"seed": experiment.seed, "device": experiment.device, **flat} | {"training.epochs": None}


def _clear(folder: Path) -> None:
    for name in _OWN:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)
