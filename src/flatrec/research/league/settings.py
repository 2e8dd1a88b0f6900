"""The experiment of a method in a cell at a point of its space, and what is refused before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flatrec import config
from flatrec.config import Experiment, Option
from flatrec.models import BASELINES
from flatrec.registry.instantiate import build_strategy, config_class, with_defaults
from flatrec.research.league.spec import Cell, League, Method, Plan, is_tuned, n_points
from flatrec.research.sweeps.space import Choices, Space

MODEL = "model."


def experiment_of(league: League, cell: Cell, method: Method, point: Mapping[str, Option], *, seed: int) -> Experiment:
    """Return the settings of a run, with all general defaults: a method is what the file says, whatever the model's.

    Args:
        league: the league.
        cell: one of its cells.
        method: one of its methods.
        point: values of the method's space.
        seed: seed of the run.

    Raises:
        ValueError: a setting is unknown, of another type or out of range; or the name of the model or of the strategy
            is not stated.
    """
    settings = stated(league, cell, method)
    if "model.name" not in settings or "strategy.name" not in settings:
        raise ValueError(
            f"{cell.name}, {method.name}: model.name and strategy.name must be stated, since defaults may change; add "
            "them to the settings of the cell and of the method"
        )
    try:
        experiment = config.changed(Experiment().completed(), _tree({**settings, **point}))
        experiment = with_defaults(experiment.replace(data=cell.data, seed=seed))
        build_strategy(experiment.strategy)
    except ValueError as error:
        raise ValueError(f"{cell.name}, {method.name}: {error}") from None
    return experiment


def stated(league: League, cell: Cell, method: Method) -> dict[str, Option]:
    """Return what the league, the cell and the method state for a run; settings of other models are left out."""
    settings = {**league.settings, **cell.settings}
    name = model_name(league, cell, method)
    return {**settings, **_suitable(method.plan_for(name), name).settings}


def space_of(league: League, cell: Cell, method: Method) -> Space:
    """Return the space of a method in a cell, without settings that its model does not have."""
    name = model_name(league, cell, method)
    return _suitable(method.plan_for(name), name).space


def model_name(league: League, cell: Cell, method: Method) -> str:
    """Return the name of the model that a method trains in a cell: the method's, the cell's or the league's.

    Raises:
        ValueError: none of them states it.
    """
    name = {**league.settings, **cell.settings, **method.plan.settings}.get("model.name")
    if not isinstance(name, str):
        raise ValueError(f"{cell.name}: model.name is missing; state it in the settings of the cell")
    return name


def check_league(league: League) -> None:
    """Make sure that the league can be run by its rules, without reading any data.

    Raises:
        ValueError: a setting is unknown or out of range; or a space has fewer points than there are trials, or lacks
            the learning rate or the regularization without a reason; or a baseline is compared over seeds.
    """
    _check_model_settings(league)
    for cell in league.cells:
        for method in league.methods:
            _check_method(league, cell, method)
    for comparison in league.comparisons:
        _check_metric(league, comparison.metric)


def _check_method(league: League, cell: Cell, method: Method) -> None:
    space, rules = space_of(league, cell, method), league.rules
    where = f"{cell.name}, {method.name}"
    if model_name(league, cell, method) in BASELINES:
        if rules.replication != "splits":
            raise ValueError(f'{where}: a baseline has no seeds to be compared over; set replication = "splits"')
    elif not is_tuned(space) and not method.reason:
        raise ValueError(
            f"{where}: the space must contain optimizer.lr and a regularization, as that of every method; add them, "
            "or state the reason"
        )
    points = n_points(space)
    if points < rules.n_trials and not (
        points == 1 and (method.reason or model_name(league, cell, method) in BASELINES)
    ):
        raise ValueError(
            f"{where}: the space has {points:g} points, but every method gets n_trials = {rules.n_trials} different "
            "ones; add values to the space, or lower n_trials for all"
        )
    for values in _single_values(space):
        experiment_of(league, cell, method, values, seed=rules.trial_seed)


def _single_values(space: Space) -> Iterator[dict[str, Option]]:
    """Yield every value of every setting alone."""
    yield {}
    for name, dimension in space.items():
        values = dimension.values if isinstance(dimension, Choices) else (dimension.low, dimension.high)
        yield from ({name: value} for value in values)


def _check_metric(league: League, metric: str) -> None:
    for cell in league.cells:
        evaluation = experiment_of(league, cell, league.methods[0], {}, seed=league.rules.trial_seed).evaluation
        name, _, k = metric.partition("@")
        if name not in evaluation.metrics or k not in map(str, evaluation.ks):
            raise ValueError(
                f"comparisons: metric must be one of {', '.join(evaluation.metrics)} at one of evaluation.ks "
                f"({', '.join(map(str, evaluation.ks))}), such as recall@{evaluation.ks[-1]}, but is {metric!r}"
            )


def _check_model_settings(league: League) -> None:
    """Refuse settings of models that no cell's model has."""
    for method in league.methods:
        models = {model_name(league, cell, method) for cell in league.cells}
        known = {field for name in models for field in config_class("model", name).model_fields}
        for name in (*method.plan.settings, *method.plan.space):
            if name.startswith(MODEL) and name != "model.name" and name.removeprefix(MODEL) not in known:
                raise ValueError(f"methods.{method.name}: no model of the cells has the setting {name}")
        for model in method.of_model:
            if model not in models:
                raise ValueError(f"methods.{method.name}.models: no cell has the model {model!r}")


def _suitable(plan: Plan, model: str) -> Plan:
    """Return a plan without settings of models that this one does not have."""
    own = {f"{MODEL}{name}" for name in ("name", *config_class("model", model).model_fields)}

    def suits(name: str) -> bool:
        return not name.startswith(MODEL) or name in own

    return Plan(
        {name: value for name, value in plan.settings.items() if suits(name)},
        {name: dimension for name, dimension in plan.space.items() if suits(name)},
    )


def _tree(settings: Mapping[str, Option]) -> dict[str, Any]:
    """Return settings by dotted name as a tree of groups."""
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        *groups, last = name.split(".")
        group = tree
        for key in groups:
            group = group.setdefault(key, {})
        group[last] = value
    return tree
