"""The settings that a sweep tries."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from flatrec import config
from flatrec.config import Experiment, Option
from flatrec.models import Model
from flatrec.registry.instantiate import config_class, model_class, strategy_class, with_defaults
from flatrec.strategies.mixed import Mixed
from flatrec.utils.user_classes import short

PENALTY_WEIGHTS = (0.0, 1e-4, 1e-3, 1e-2, 3e-2)  # from none, for dense data, to what helps on sparse ones


@dataclass(frozen=True)
class Choices:
    """A list of values, one of which a trial has."""

    values: tuple[Option, ...]


@dataclass(frozen=True)
class Range:
    """A range of numbers, both ends included.

    Args:
        low: smallest number.
        high: largest number.
        log: draw the logarithm of the number; low must then be above 0.

    Raises:
        ValueError: low is not below high, or not above 0 for a logarithm.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"a range needs low < high (and low > 0 with log), but has low {self.low} and high {self.high}"
            )


Space: TypeAlias = Mapping[str, Choices | Range]  # by the dotted name of the setting


def default_space(model: str, strategy: str, regularization: str = "default") -> Space:
    """Return the search spaces of a model and a strategy, as their classes state them.

    Args:
        model: name of the model.
        strategy: name of the strategy.
        regularization: the kind of penalty. One with a weight is searched instead of the weight of the model's own.

    Raises:
        ValueError: an unknown name, or neither of the two has a search space.
    """
    kind = model_class(model)
    settings = {f"model.{name}" for name in config_class("model", model).model_fields}
    # A user's own class may inherit the space of a model that has other settings.
    space = {
        name: values for name, values in kind.SEARCH_SPACE.items() if name in settings or not name.startswith("model.")
    }
    trained = issubclass(kind, Model)
    if trained and regularization not in ("default", "none"):
        space = {name: values for name, values in space.items() if name != "model.reg_weight"}
        space["regularization.weight"] = PENALTY_WEIGHTS
    options = config_class("strategy", strategy).model_fields
    of_strategy = {**strategy_class(strategy).SEARCH_SPACE, **(Mixed.SEARCH_SPACE if strategy.endswith("+") else {})}
    if trained:  # no strategy matters to a baseline
        space |= {f"strategy.{name}": values for name, values in of_strategy.items() if name in options}
    if not space:
        raise ValueError(f"{short(model)} with {short(strategy)} has no default search space; give one with --space")
    return {name: Choices(tuple(values)) for name, values in space.items()}


def read_space(path: Path) -> Space:
    """Read a space from a TOML file.

    A setting has a list of values, ``"model.n_layers" = [1, 2]``, or a range, ``"optimizer.lr" = {low = 1e-4,
    high = 1e-2, log = true}``. Groups may be written as tables, ``[model]`` and so on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not TOML, or does not hold a space.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; give the path of a .toml file with settings to try")
    space = parse_space(config.toml_tree(path), str(path))
    if not space:
        raise ValueError(f'{path} names no setting; give one, such as "optimizer.lr" = [0.001, 0.005]')
    return space


def parse_space(tree: Mapping[str, Any], where: str) -> dict[str, Choices | Range]:
    """Return the space that a table of a TOML file holds; ``where`` is its name in messages.

    Raises:
        ValueError: a value is neither a list of values nor a range.
    """
    return {name: _dimension(value, f"{where}: {name}") for name, value in flatten(tree)}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the values of a tree of settings by their dotted names; a range counts as one value."""
    leaves: list[tuple[str, Any]] = []
    for key, value in tree.items():
        group = isinstance(value, Mapping) and not {"low", "high"} & set(value)
        leaves += flatten(value, f"{prefix}{key}.") if group else [(prefix + key, value)]
    return leaves


def suggest(space: Space, trial: Trial) -> dict[str, Option]:
    """Return what a trial is to try, by dotted name."""
    return {name: _suggest(trial, name, dimension) for name, dimension in space.items()}


def distribution(dimension: Choices | Range) -> BaseDistribution:
    """Return the distribution of Optuna from which :func:`suggest` draws."""
    if isinstance(dimension, Range):
        return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return CategoricalDistribution(list(map(str, dimension.values)))


def stored_value(dimension: Choices | Range, value: str | float | None) -> str | float | None:
    """Return what a store holds for a value that another space proposed; None where this one does not have it."""
    if isinstance(dimension, Choices):
        return str(value) if str(value) in map(str, dimension.values) else None
    try:
        number = float(value) if value is not None else dimension.low - 1
    except ValueError:
        return None
    return number if dimension.low <= number <= dimension.high else None


def grid(space: Space) -> list[dict[str, Option]]:
    """Return every combination of values.

    Raises:
        ValueError: a setting is a range, which has no finite number of values.
    """
    for name, dimension in space.items():
        if isinstance(dimension, Range):
            raise ValueError(f"{name} is a range, of which a grid cannot try every value; list values, or use tpe")
    names, choices = list(space), [dimension.values for dimension in space.values() if isinstance(dimension, Choices)]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*choices)]


def with_values(experiment: Experiment, values: Mapping[str, Option]) -> Experiment:
    """Return the experiment with other values of settings, by dotted name.

    Raises:
        ValueError: an unknown setting, or a value of the wrong type or out of range.
    """
    for name, value in values.items():
        experiment = config.changed(experiment, config.nested(name.split("."), value))
    return with_defaults(experiment)


def _dimension(value: object, where: str) -> Choices | Range:
    if isinstance(value, list) and value:
        return Choices(tuple(tuple(entry) if isinstance(entry, list) else entry for entry in value))
    if isinstance(value, Mapping):
        return config.instantiate(Range, value, where)
    raise ValueError(f"{where} must be a list of values or a table with low and high, but is {value!r}")


def _suggest(trial: Trial, name: str, dimension: Choices | Range) -> Option:
    if isinstance(dimension, Range):
        return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
    texts = list(map(str, dimension.values))  # a store holds no lists
    return dimension.values[texts.index(trial.suggest_categorical(name, texts))]
