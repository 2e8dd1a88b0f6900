"""Write a league as a TOML file, which can be edited and run by ``flatrec league``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import tomli_w

from flatrec.config import Option
from flatrec.research.league.spec import Cell, Comparison, League, Method, Plan, Rules
from flatrec.research.sweeps.space import Choices, Range, Space
from flatrec.utils.atomic_write import write_text


def write_league(league: League, path: Path, *, comment: str = "") -> None:
    """Write a league into a file, which :func:`flatrec.research.league.read_league` reads back as an equal one.

    Settings keep their order, by which trials are proposed.

    Args:
        league: the league.
        path: a TOML file, which is replaced.
        comment: lines that stand at the top, each behind a ``#``.

    Raises:
        OSError: the file cannot be written.
    """
    write_text(path, league_text(league, comment=comment))


def league_text(league: League, *, comment: str = "") -> str:
    """Return what :func:`write_league` writes."""
    names = _data_names(league)
    parts = [
        "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines()) + _rules(league.rules),
        _table(("disturbances",), league.rules.disturbances),
        _table(("data",), {name: path for path, name in names.items()}),
        _table(("settings",), league.settings),
        *(part for cell in league.cells for part in _cell(cell, names)),
        *(part for method in league.methods for part in _method(method)),
        *(_comparison(comparison) for comparison in league.comparisons),
    ]
    return "\n".join(filter(None, parts))


def _data_names(league: League) -> dict[str, str]:
    """Return names of the cells' data by path: those of the files or folders; none where these are not different."""
    names = {cell.data: Path(cell.data).name for cell in league.cells}
    distinct = len(set(names.values())) == len(names) and all(names.values())
    return names if distinct else {}


def _rules(rules: Rules) -> str:
    stated = ((field.name, getattr(rules, field.name)) for field in fields(rules))
    return "".join(_line(name, value) for name, value in stated if not isinstance(value, Mapping))


def _cell(cell: Cell, names: Mapping[str, str]) -> Iterator[str]:
    yield _table(("cells", cell.name), {"data": names.get(cell.data, cell.data)})
    yield _table(("cells", cell.name, "settings"), cell.settings)


def _method(method: Method) -> Iterator[str]:
    where = ("methods", method.name)
    yield _table(
        where, {"reason": method.reason} if method.reason else {}, is_needed=not any(_plan(method.plan, where))
    )
    yield from _plan(method.plan, where)
    for model, plan in method.of_model.items():
        of_model = (*where, "models", model)
        yield _table(of_model, {}, is_needed=not any(_plan(plan, of_model)))
        yield from _plan(plan, of_model)


def _plan(plan: Plan, where: tuple[str, ...]) -> Iterator[str]:
    yield _table((*where, "settings"), plan.settings)
    yield _table((*where, "space"), plan.space)


def _comparison(comparison: Comparison) -> str:
    stated = ((field.name, getattr(comparison, field.name)) for field in fields(comparison))
    return "[[comparisons]]\n" + "".join(_line(name, value) for name, value in stated if value)


def _table(
    where: tuple[str, ...],
    values: Mapping[str, Option] | Mapping[str, tuple[float, ...]] | Space,
    *,
    is_needed: bool = False,
) -> str:
    """Return a table under its heading; nothing for an empty one, unless it is needed."""
    if not values and not is_needed:
        return ""
    return f"[{'.'.join(map(_key, where))}]\n" + "".join(_line(name, value) for name, value in values.items())


def _line(name: str, value: object) -> str:
    """Return a line of a file; a dotted name is quoted, since nested tables would change the order of settings."""
    return f"{_key(name)} = {_value(value)}\n"


def _key(name: str) -> str:
    return tomli_w.dumps({name: 0}).removesuffix(" = 0\n")


def _value(value: object) -> str:
    """Return a value on one line."""
    if isinstance(value, Choices):
        return _value(value.values)
    if isinstance(value, Range):
        return f"{{ low = {_value(value.low)}, high = {_value(value.high)}, log = {_value(value.log)} }}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").removesuffix("\n")
