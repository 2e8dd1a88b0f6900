"""flatrec list models | strategies | optimizers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Annotated

import typer

from flatrec.cli import options
from flatrec.cli.descriptions import Description, describe, model_names, plain
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.components import resolved, strategy_names, strategy_options
from flatrec.config import Component, Experiment, Options
from flatrec.strategies import STRATEGIES
from flatrec.training import optimizers

Names = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Only these, with settings.", show_default=False)
]

app = typer.Typer(help="List models, strategies and optimizers with their settings.", no_args_is_help=True)


@app.command()
def models(names: Names = None, json: options.Json = False) -> None:
    """Models, and yardsticks that need no training: what they are and where they come from.

    With names: these alone, with their settings, the defaults, and the values usually tried.

    Example: `flatrec list models freedom`
    """
    described = [describe(name) for name in names or model_names()]
    if json:
        print_json({"models": [one.as_dict() for one in described]})
    elif names:
        for one in described:
            _show_model(one)
    else:
        rows = [[one.name, one.about, one.modalities, _cited(one)] for one in described]
        print_table("models", ["name", "what it is", "modalities", "reference"], rows)
        print_text("flatrec list models NAME shows settings and defaults")


@app.command()
def strategies(json: options.Json = False) -> None:
    """Training strategies; a + after a name mixes in the plain gradient of a second batch.

    Example: `flatrec list strategies --json`
    """
    names = strategy_names()
    settings = {name: strategy_options(name) for name in names}
    described = {
        name: _first_line(STRATEGIES[name.removesuffix("+")]) + (" Mixed." if name.endswith("+") else "")
        for name in names
    }
    _show("strategies", described, settings, json=json)


@app.command("optimizers")
def base_optimizers(json: options.Json = False) -> None:
    """Base optimizers of the installed torch.

    Example: `flatrec list optimizers`
    """
    known = optimizers.names()
    settings = {name: resolved(Experiment(optimizer=Component(name))).optimizer.options for name in known}
    _show("optimizers", {name: f"torch.optim.{one.__name__}" for name, one in known.items()}, settings, json=json)


def _cited(one: Description) -> str:
    return "" if one.reference is None else f"{one.reference}\n{one.reference.link}"


def _show_model(one: Description) -> None:
    """A table of the settings; those of other groups that are usually tried with the model come last."""
    rows = []
    for setting in one.settings:
        choices = f" ({setting.type})" if "'" in setting.type else ""
        what = plain(setting.meaning) + choices
        rows.append([f"model.{setting.name}", str(setting.value), _tried(setting.tried), what])
    own = {row[0] for row in rows}
    rows += [[key, "", _tried(values), ""] for key, values in one.search_space.items() if key not in own]
    print_text(f"{one.name}: {one.about}")
    print_text(f"modalities: {one.modalities}" + (f"; {one.reference}, {one.reference.link}" if one.reference else ""))
    if rows:
        print_table("", ["setting", "default", "usually tried", "what it is"], rows)


def _tried(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _show(kind: str, described: dict[str, str], settings: dict[str, Options], *, json: bool) -> None:
    if json:
        both = [{"name": name, "about": about, "settings": dict(settings[name])} for name, about in described.items()]
        print_json({kind: both})
        return
    rows = [
        [name, about, ", ".join(f"{key}={value}" for key, value in settings[name].items())]
        for name, about in described.items()
    ]
    print_table(kind, ["name", "about", "settings and defaults"], rows)


def _first_line(one: type) -> str:
    return (inspect.getdoc(one) or "").partition("\n")[0]
