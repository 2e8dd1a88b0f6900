"""Read a league from a TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from flatrec import config
from flatrec.config import Option
from flatrec.config.old_words import unknown_setting
from flatrec.research.league.spec import Cell, Comparison, League, Method, Plan, Rules
from flatrec.research.sweeps.space import flatten, parse_space

TABLES = ("data", "settings", "cells", "methods", "comparisons")
OF_CELL = ("data", "settings")
OF_METHOD = ("settings", "space", "models", "reason")
OF_PLAN = ("settings", "space")


def read_league(path: Path, data: Mapping[str, str] | None = None) -> League:
    """Read a league; ``experiments/league/first-season.toml`` shows the format.

    Args:
        path: a TOML file.
        data: paths of data sets by their names in the file's table ``data``, instead of those that stand there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not TOML, names something unknown, or breaks a rule; one line says which.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; give the path of a .toml file that describes a league")
    tree = config.toml_tree(path)
    try:
        return _league(tree, data or {})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _league(tree: Mapping[str, Any], moved: Mapping[str, str]) -> League:
    names = [field.name for field in fields(Rules)]
    _check_keys(tree, [*names, *TABLES], "")
    stated = {key: value for key, value in tree.items() if key in names}
    stated["disturbances"] = {kind: _as_tuple(levels) for kind, levels in _table(tree, "disturbances").items()}
    rules = config.instantiate(Rules, stated, "league")
    paths = _table(tree, "data")
    if unknown := next((name for name in moved if name not in paths), None):
        raise ValueError(f"there is no data set {unknown!r} in the table data, which has {', '.join(paths) or 'none'}")
    paths = {**paths, **moved}
    comparisons = tree.get("comparisons", [])
    if not isinstance(comparisons, list):
        raise ValueError("comparisons must be tables [[comparisons]], each with method, baseline and metric")
    return League(
        rules,
        _settings(tree, ""),
        tuple(_cell(name, _table(tree["cells"], name, "cells."), paths) for name in _table(tree, "cells")),
        tuple(_method(name, _table(tree["methods"], name, "methods.")) for name in _table(tree, "methods")),
        tuple(config.instantiate(Comparison, values, f"comparisons[{i}]") for i, values in enumerate(comparisons)),
    )


def _cell(name: str, tree: Mapping[str, Any], paths: Mapping[str, Any]) -> Cell:
    where = f"cells.{name}."
    _check_keys(tree, OF_CELL, where)
    data = tree.get("data")
    if not isinstance(data, str) or not data:
        raise ValueError(f"{where}data must be the name of a data set or its path, but is {data!r}")
    return Cell(name, str(paths.get(data, data)), _settings(tree, where))


def _method(name: str, tree: Mapping[str, Any]) -> Method:
    where = f"methods.{name}."
    _check_keys(tree, OF_METHOD, where)
    models = _table(tree, "models", where)
    for model in models:
        _check_keys(_table(models, model, f"{where}models."), OF_PLAN, f"{where}models.{model}.")
    of_model = {model: _plan(plan, f"{where}models.{model}.") for model, plan in models.items()}
    return Method(name, _plan(tree, where), of_model, str(tree.get("reason", "")))


def _plan(tree: Mapping[str, Any], where: str) -> Plan:
    return Plan(_settings(tree, where), parse_space(_table(tree, "space", where), f"{where}space"))


def _settings(tree: Mapping[str, Any], where: str) -> dict[str, Option]:
    found: dict[str, Option] = {}
    for name, value in flatten(_table(tree, "settings", where)):
        if isinstance(value, list):
            found[name] = tuple(value)
        elif isinstance(value, (bool, int, float, str)):
            found[name] = value
        else:
            raise ValueError(f"{where}settings.{name} must be one value, but is {value!r}; values to try go to space")
    return found


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _table(tree: Mapping[str, Any], key: str, where: str = "") -> Mapping[str, Any]:
    values = tree.get(key, {})
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}{key} must be a table, but is {values!r}")
    return values


def _check_keys(tree: Mapping[str, Any], known: tuple[str, ...] | list[str], where: str) -> None:
    for key in tree:
        if key not in known:
            raise ValueError(f"{where}{key}: {unknown_setting(key, list(known))}")
