"""flatrec check-model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table
from flatrec.utils.messages import raised

if TYPE_CHECKING:
    from flatrec.config import Options
    from flatrec.data.dataset import Dataset
    from flatrec.models import Model
    from flatrec.testing import Finding

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
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the model, e.g. model.embedding_dim=8; repeatable."),
]


def check(model: CheckedModel, sets: ModelSets = None, json: options.Json = False) -> None:
    """Check that a model is trained, saved, resumed and evaluated as it should be.

    Builds the model on tiny data and runs every check of the model contract; the exit code is 1 if a check fails.

    Example: `flatrec check-model --model my_models/mine.py:Mine --set model.embedding_dim=8`
    """
    from flatrec.cli.classes import trainable_class
    from flatrec.config import validate
    from flatrec.registry.constructors import check_form
    from flatrec.testing import check_model

    kind = trainable_class(model)
    check_form(kind, "model")
    given = _settings(model, sets or ())
    config = validate(kind.Config, given, "model")

    def make(dataset: Dataset) -> Model:
        return kind(dataset, config)

    with redirect_stdout(sys.stderr):  # whatever the model prints
        _try_constructor(kind, make)
        findings = check_model(make)
    failed = sum(one.outcome == "FAILED" for one in findings)
    if json:
        print_json(_as_dict(kind, given, findings, failed))
    else:
        rows = [[one.check, one.outcome, one.reason or one.meaning] for one in findings]
        print_table(f"{kind.__name__} on tiny data", ["check", "result", "what it means, or what is wrong"], rows)
    if failed:
        crash = next((one.error for one in findings if one.error is not None), None)  # --debug shows it
        raise RuntimeError(f"{failed} of {len(findings)} checks failed for {kind.__name__}") from crash


def _settings(name: str, sets: Sequence[str]) -> Options:
    from flatrec.config import Component, Experiment, assignment, changed

    experiment = Experiment(model=Component(name))
    for text in sets:
        tree = assignment(text)
        if list(tree) != ["model"] or not isinstance(tree["model"], dict) or "name" in tree["model"]:
            raise ValueError(
                f"check-model takes settings of the model, such as --set model.embedding_dim=8, but got {text!r}"
            )
        experiment = changed(experiment, tree)
    return experiment.model.options


def _try_constructor(kind: type[Model], make: Callable[[Dataset], Model]) -> None:
    from flatrec.testing import tiny_dataset
    from flatrec.testing.runs import random_state

    try:
        with random_state(0):
            make(tiny_dataset())
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        said = raised(error, typed=not isinstance(error, ValueError))
        raise ValueError(f"{kind.__name__} could not be built on tiny data: {said}") from error


def _as_dict(kind: type[Model], settings: Options, findings: Sequence[Finding], failed: int) -> dict[str, object]:
    return {
        "model": kind.__name__,
        "class": f"{kind.__module__}:{kind.__qualname__}",
        "settings": dict(settings),
        "passed": failed == 0,
        "failed": failed,
        "checks": [{name: vars(one)[name] for name in ("check", "outcome", "meaning", "reason")} for one in findings],
    }
