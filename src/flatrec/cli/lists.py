"""flatrec list models | strategies | optimizers."""

from __future__ import annotations

import inspect

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table
from flatrec.components import resolved, strategy_names
from flatrec.config import Component, Experiment, Options
from flatrec.models import MODELS, YARDSTICKS
from flatrec.strategies import STRATEGIES
from flatrec.training import optimizers

app = typer.Typer(help="List models, strategies and optimizers with their settings.", no_args_is_help=True)


@app.command()
def models(json: options.Json = False) -> None:
    """Models, and yardsticks that need no training.

    Example: `flatrec list models`
    """
    settings = {name: resolved(Experiment(model=Component(name))).model.options for name in (*MODELS, *YARDSTICKS)}
    described = {name: _first_line(one) for name, one in (*MODELS.items(), *YARDSTICKS.items())}
    _show("models", described, settings, json=json)


@app.command()
def strategies(json: options.Json = False) -> None:
    """Training strategies; a + after a name mixes in the plain gradient of a second batch.

    Example: `flatrec list strategies --json`
    """
    names = strategy_names()
    settings = {name: resolved(Experiment(strategy=Component(name))).strategy.options for name in names}
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
