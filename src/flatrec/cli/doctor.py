"""flatrec doctor."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Annotated

import torch
import typer

from flatrec.cli import options
from flatrec.cli.classes import trainable_class
from flatrec.cli.printing import print_json, print_table
from flatrec.config import Component, Experiment, Options, assignment, build, changed
from flatrec.data.dataset import Dataset
from flatrec.models import Model
from flatrec.testing import Finding, examine, tiny_dataset
from flatrec.testing.checks import one_line

CheckedModel = Annotated[
    str,
    typer.Option(
        help="A name from `flatrec list models`, or your own: `package.module:Class` or `path/to/file.py:Class`.",
        metavar="NAME|CLASS",
        show_default=False,
    ),
]
ModelSets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the model, e.g. model.dim=8; repeatable."),
]


def doctor(model: CheckedModel, sets: ModelSets = None, json: options.Json = False) -> None:
    """Check a model: is it trained, saved, resumed and evaluated as it should be?

    Builds it on tiny data and runs every check of the model contract; the exit code is 1 where one fails.

    Example: `flatrec doctor --model my_models/mine.py:Mine --set model.dim=8`
    """
    kind = trainable_class(model)
    settings = _settings(model, sets or ())

    def make(dataset: Dataset) -> Model:
        return build(kind, settings, "model", dataset)

    with redirect_stdout(sys.stderr):  # whatever the model prints
        _try_constructor(kind, settings)
        findings = examine(make)
    failed = sum(one.outcome == "FAILED" for one in findings)
    if json:
        print_json(_as_dict(kind, settings, findings, failed))
    else:
        rows = [[one.check, one.outcome, one.reason or one.meaning] for one in findings]
        print_table(f"{kind.__name__} on tiny data", ["check", "result", "what it means"], rows)
    if failed:
        raise RuntimeError(f"{failed} of {len(findings)} checks failed for {kind.__name__}")


def _settings(name: str, sets: Sequence[str]) -> Options:
    experiment = Experiment(model=Component(name))
    for text in sets:
        tree = assignment(text)
        if list(tree) != ["model"] or not isinstance(tree["model"], dict) or "name" in tree["model"]:
            raise ValueError(f"doctor takes settings of the model, such as --set model.dim=8, but got {text!r}")
        experiment = changed(experiment, tree)
    return experiment.model.options


def _try_constructor(kind: type[Model], settings: Options) -> None:
    try:
        with torch.random.fork_rng(devices=()):
            build(kind, settings, "model", tiny_dataset())
    except ValueError:
        raise  # says which setting is wrong
    except Exception as error:  # a stranger's code may raise anything
        raise ValueError(f"{kind.__name__} could not be built on tiny data: {one_line(error)}") from error


def _as_dict(kind: type[Model], settings: Options, findings: Sequence[Finding], failed: int) -> dict[str, object]:
    return {
        "model": kind.__name__,
        "class": f"{kind.__module__}:{kind.__qualname__}",
        "settings": dict(settings),
        "passed": failed == 0,
        "failed": failed,
        "checks": [vars(one) for one in findings],
    }
