"""What the folder of a run says of a recommender that was made there: its settings, scores and data, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from flatrec import config
from flatrec.config import Experiment
from flatrec.hub.published import without_folder_names, without_folders
from flatrec.hub.robustness import Robustness, read_robustness
from flatrec.inference.recommender import Facts
from flatrec.inference.storage import FOLDER
from flatrec.runs import run_dir

HERE = ("data", "device", "training.loggers")  # settings that say something of this machine alone


@dataclass(frozen=True)
class SplitCounts:
    """One split: its name, and how many interactions, users and items it has, and between which days."""

    name: str
    interactions: int
    users: int
    items: int
    days: str


@dataclass(frozen=True)
class Trained:
    """What is told of the training of a recommender.

    Args:
        settings: all settings as TOML, with no path in them.
        evaluation: what was measured, and how; None if that is not known.
        monitor: the validation metric by which the number of epochs was chosen; empty if it was given.
        epochs: number of epochs; None if that is not known, 0 if nothing was trained.
        valid: scores on the validation split.
        test: scores on the test split.
        split_method: how the interactions were split.
        splits: the splits.
        refit: whether it was trained on all interactions, so that the scores are those of the run that it repeats.
        robustness: how much it loses under disturbances.
    """

    settings: str = ""
    evaluation: config.Evaluation | None = None
    monitor: str = ""
    epochs: int | None = None
    valid: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] = field(default_factory=dict)
    split_method: str = ""
    splits: Sequence[SplitCounts] = ()
    refit: bool = False
    robustness: Robustness | None = None


def trained_in(path: Path, facts: Facts) -> Trained:
    """Return what the run in a folder, or around the folder of its recommender, says; else what the facts say.

    Raises:
        ValueError: a record of the run is damaged.
    """
    run = path.resolve()
    if not run_dir.has_run(run) and run.name == FOLDER:
        run = run.parent
    if not run_dir.has_run(run) or not (run / run_dir.RESULT).is_file():
        return Trained(test=without_folder_names(facts.test))
    experiment, result = run_dir.read_experiment(run), run_dir.read_result(run)
    scored = result.get("refit") or result
    return Trained(
        settings=_toml(experiment),
        evaluation=experiment.evaluation,
        monitor=without_folders(str(result["monitor"])) if result.get("selected") == "best" else "",
        epochs=result.get("best_epoch") if result.get("selected") == "best" else result.get("epochs"),
        valid=without_folder_names(scored.get("valid") or {}),
        test=without_folder_names(scored.get("test") or {}),
        split_method=str(result["data"]["split"].get("method") or "given"),
        splits=_splits(result["data"]["split"]),
        refit=result.get("refit") is not None,
        robustness=read_robustness(run, facts.fingerprint),
    )


def _splits(split: Mapping[str, Any]) -> tuple[SplitCounts, ...]:
    found = ((name, split.get(name)) for name in ("train", "valid", "test"))
    return tuple(
        SplitCounts(name, one["interactions"], one["users"], one["items"], _days(one.get("first"), one.get("last")))
        for name, one in found
        if one and one["interactions"]
    )


def _days(first: str | None, last: str | None) -> str:
    """Return the days between two times; a time of day could be that of a single person."""
    return f"{first[:10]} to {last[:10]}" if first and last else ""


def _toml(experiment: Experiment) -> str:
    tree: dict[str, Any] = {}
    for name, value in config.settings(experiment).items():
        if name not in HERE and value is not None:
            *groups, last = name.split(".")
            group = tree
            for part in groups:
                group = group.setdefault(part, {})
            group[last] = _without_folders(value)
    return tomli_w.dumps(tree)


def _without_folders(value: object) -> object:
    if isinstance(value, str):
        return without_folders(value)
    if isinstance(value, (list, tuple)):
        return [_without_folders(one) for one in value]
    return value
