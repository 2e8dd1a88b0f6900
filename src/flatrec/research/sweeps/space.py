"""The settings that a sweep tries."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from flatrec import config
from flatrec.config import Experiment, Option
from flatrec.models import Model
from flatrec.registry.instantiate import config_class, model_class, with_defaults
from flatrec.utils.user_classes import short

# The paper's grids, for strategies that have these settings.
OF_STRATEGIES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {"rho": (0.05, 0.1, 0.15, 0.2), "lam": (0.2, 0.4, 0.6, 0.8), "kappa": (0.2, 0.4, 0.6, 0.8)}
)


@dataclass(frozen=True)
class Choices:
    """One of some values."""

    values: tuple[Option, ...]


@dataclass(frozen=True)
class Range:
    """A number between two others, both included.

    Args:
        low: the smallest.
        high: the largest.
        log: whether to draw its logarithm; low must then be above 0.

    Raises:
        ValueError: the ends are the wrong way round, or not above 0 for a logarithm.
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


def default_space(model: str, strategy: str) -> Space:
    """What is usually tried: the model's own list, and the paper's grids for the strategy.

    Raises:
        ValueError: an unknown name, or nothing is usually tried.
    """
    kind = model_class(model)
    settings = {f"model.{name}" for name in config_class("model", model).model_fields}
    tried = kind.SEARCH_SPACE if issubclass(kind, Model) else {}
    # A class of the user's own may inherit the list of a model that has other settings.
    values = {name: some for name, some in tried.items() if name in settings or not name.startswith("model.")}
    known = config_class("strategy", strategy).model_fields
    values |= {
        f"strategy.{name}": grid for name, grid in OF_STRATEGIES.items() if name in known and strategy != "plain"
    }
    if not values:
        raise ValueError(
            f"{short(model)} with {short(strategy)} has no settings that are usually tried; give some with --space"
        )
    return {name: Choices(tuple(some)) for name, some in values.items()}


def read(path: Path) -> Space:
    """A space from a TOML file.

    A setting has a list of values, ``"model.n_layers" = [1, 2]``, or a range, ``"optimizer.lr" = {low = 1e-4,
    high = 1e-2, log = true}``. Groups may be written as tables, ``[model]`` and so on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not TOML, or holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; give the path of a .toml file with settings to try")
    space = {name: _dimension(value, f"{path}: {name}") for name, value in _leaves(config.toml_tree(path))}
    if not space:
        raise ValueError(f'{path} names no setting; give one, such as "optimizer.lr" = [0.001, 0.005]')
    return space


def suggested(space: Space, trial: Trial) -> dict[str, Option]:
    """What a trial is to try, by dotted name."""
    return {name: _suggest(trial, name, one) for name, one in space.items()}


def distribution(one: Choices | Range) -> BaseDistribution:
    """As Optuna has it, and as :func:`suggested` asks for it."""
    if isinstance(one, Range):
        return FloatDistribution(one.low, one.high, log=one.log)
    return CategoricalDistribution(list(map(str, one.values)))


def stored(one: Choices | Range, value: str | float | None) -> str | float | None:
    """What a store holds for a value that another space brought forth; None where it is not among these."""
    if isinstance(one, Choices):
        return str(value) if str(value) in map(str, one.values) else None
    try:
        number = float(value) if value is not None else one.low - 1
    except ValueError:
        return None
    return number if one.low <= number <= one.high else None


def grid(space: Space) -> list[dict[str, Option]]:
    """Every combination.

    Raises:
        ValueError: a setting is a range, which has no end of values.
    """
    for name, one in space.items():
        if isinstance(one, Range):
            raise ValueError(f"{name} is a range, of which a grid cannot try every value; list values, or use tpe")
    names, choices = list(space), [one.values for one in space.values() if isinstance(one, Choices)]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*choices)]


def changed(experiment: Experiment, values: Mapping[str, Option]) -> Experiment:
    """The experiment with settings by dotted name put in.

    Raises:
        ValueError: an unknown setting, or a value of the wrong type or out of range.
    """
    for name, value in values.items():
        experiment = config.changed(experiment, config.nested(name.split("."), value))
    return with_defaults(experiment)


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in tree.items():
        group = isinstance(value, Mapping) and not {"low", "high"} & set(value)
        leaves += _leaves(value, f"{prefix}{key}.") if group else [(prefix + key, value)]
    return leaves


def _dimension(value: object, where: str) -> Choices | Range:
    if isinstance(value, list) and value:
        return Choices(tuple(tuple(one) if isinstance(one, list) else one for one in value))
    if isinstance(value, Mapping):
        return config.instantiate(Range, value, where)
    raise ValueError(f"{where} must be a list of values or a table with low and high, but is {value!r}")


def _suggest(trial: Trial, name: str, one: Choices | Range) -> Option:
    if isinstance(one, Range):
        return trial.suggest_float(name, one.low, one.high, log=one.log)
    places = trial.suggest_categorical(name, list(map(str, one.values)))  # a store holds no lists
    return one.values[[str(value) for value in one.values].index(places)]
