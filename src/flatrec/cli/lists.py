"""flatrec list models | strategies | optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.models.registry import ENTRIES, FEATURES

if TYPE_CHECKING:
    from flatrec.cli.descriptions import Description
    from flatrec.config import Options
    from flatrec.utils.lazy_registry import Entry

Names = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Only these, with settings.", show_default=False)
]

app = typer.Typer(help="List models, strategies and optimizers with their settings.", no_args_is_help=True)


@app.command()
def models(names: Names = None, json: options.Json = False) -> None:
    """Models, and baselines that need no training: what they are and where they come from.

    With names: these alone, with their settings, the defaults, and the values usually tried.

    Example: `flatrec list models freedom`
    """
    if not names and not json:
        rows = [[name, one.about, _modalities(one), _cited(one)] for name, one in ENTRIES.items()]
        print_table("models", ["name", "what it is", "modalities", "reference"], rows)
        print_text("flatrec list models NAME shows settings and defaults")
        return
    from flatrec.cli.descriptions import describe

    described = [describe(name) for name in names or ENTRIES]
    if json:
        print_json({"models": [one.as_dict() for one in described]})
        return
    for one in described:
        _show_model(one)


@app.command()
def strategies(json: options.Json = False) -> None:
    """Training strategies; a + after a name mixes in the plain gradient of a second batch.

    Example: `flatrec list strategies --json`
    """
    from flatrec.registry.instantiate import strategy_names, strategy_options
    from flatrec.strategies.registry import ENTRIES as STRATEGIES

    names = strategy_names()
    settings = {name: strategy_options(name) for name in names}
    described = {
        name: STRATEGIES[name.removesuffix("+")].about + (" Mixed." if name.endswith("+") else "") for name in names
    }
    _show("strategies", described, settings, json=json)


@app.command("optimizers")
def base_optimizers(json: options.Json = False) -> None:
    """Base optimizers of the installed torch.

    Example: `flatrec list optimizers`
    """
    from flatrec.config import Component, Experiment
    from flatrec.registry.instantiate import with_defaults
    from flatrec.training import optimizers

    known = optimizers.names()
    settings = {name: with_defaults(Experiment(optimizer=Component(name))).optimizer.options for name in known}
    _show("optimizers", {name: f"torch.optim.{one.__name__}" for name, one in known.items()}, settings, json=json)


def _modalities(one: Entry) -> str:
    return "one or more" if one.family == FEATURES else "none"


def _cited(one: Entry) -> str:
    """The paper on one line, its link on the next."""
    return "\n".join(one.paper.rsplit(", ", 1))


def _show_model(one: Description) -> None:
    """A table of the settings; those of other groups that are usually tried with the model come last."""
    from flatrec.cli.descriptions import plain

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
