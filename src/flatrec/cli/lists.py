"""flatrec list models | losses | samplings | strategies | optimizers | schedules | metrics | loggers | settings ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.models.registry import ENTRIES, FAMILIES

if TYPE_CHECKING:
    from flatrec.cli.descriptions import Description
    from flatrec.data.fetching.catalog import PublicDataset
    from flatrec.registry.instantiate import Kind
    from flatrec.utils.lazy_registry import Entry

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Names of models to show with their settings.", show_default=False),
]

app = typer.Typer(
    help="List models, losses, samplings, strategies, optimizers, schedules, metrics, loggers, settings and data sets.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)


@app.command()
def models(names: Names = None, json: options.Json = False) -> None:
    """List the models by family, and the baselines, which need no training, with their papers.

    With names, show only these, with their settings, defaults and search spaces.

    Example: `flatrec list models freedom`
    """
    if not names and not json:
        for family, title in FAMILIES.items():
            rows = [[name, one.about, _cited(one)] for name, one in ENTRIES.items() if one.family == family]
            print_table(title, ["name", "what it is", "reference"], rows)
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
    """List the training strategies; a + after a name mixes in the plain gradient of a second batch.

    Example: `flatrec list strategies --json`
    """
    from flatrec.registry.instantiate import strategy_names
    from flatrec.strategies.registry import ENTRIES as STRATEGIES

    described = {
        name: STRATEGIES[name.removesuffix("+")].about + (" Mixed." if name.endswith("+") else "")
        for name in strategy_names()
    }
    _show("strategy", "strategies", described, json=json)


@app.command()
def losses(json: options.Json = False) -> None:
    """List the losses that a model can rank by instead of its own (`loss.name`).

    Example: `flatrec list losses`
    """
    from flatrec.losses.registry import ENTRIES as LOSSES

    described = {name: f"{one.about} {one.paper}".strip() for name, one in LOSSES.items()}
    _show("loss", "losses", {"default": "Each model's own.", **described}, json=json)


@app.command()
def samplings(json: options.Json = False) -> None:
    """List the choices of negatives (`sampling.name`).

    Example: `flatrec list samplings`
    """
    from flatrec.sampling.registry import ENTRIES as SAMPLINGS

    described = {name: f"{one.about} {one.paper}".strip() for name, one in SAMPLINGS.items()}
    _show("sampling", "samplings", described, json=json)


@app.command("optimizers")
def base_optimizers(json: options.Json = False) -> None:
    """List the base optimizers of the installed torch.

    Example: `flatrec list optimizers`
    """
    from flatrec.training import optimizers

    _show(
        "optimizer",
        "optimizers",
        {name: f"torch.optim.{kind.__name__}" for name, kind in optimizers.names().items()},
        json=json,
    )


@app.command("schedules")
def learning_rate_schedules(json: options.Json = False) -> None:
    """List the learning-rate schedules of the installed torch (`schedule.name`).

    Example: `flatrec list schedules`
    """
    from flatrec.training import schedules

    described = {schedules.CONSTANT: "The same learning rate in every epoch."}
    described |= {name: _first_sentence(kind) for name, kind in schedules.names().items()}
    rows = [_schedule(name, about) for name, about in described.items()]
    if json:
        print_json({"schedules": rows})
        return
    print_table("schedules", ["name", "about", "settings and defaults"], [_schedule_cells(row) for row in rows])
    print_text("--set schedule.name=steplr --set schedule.step_size=10 chooses one and states what has no default")


@app.command()
def metrics(json: options.Json = False) -> None:
    """List the metrics that `evaluation.metrics` takes: title, the better direction, definition.

    Example: `flatrec list metrics`
    """
    from flatrec.evaluation.metrics import METRICS

    if json:
        rows = [
            {
                "name": name,
                "title": one.title,
                "higher_is_better": one.higher_is_better,
                "needs_features": one.needs_features,
                "definition": one.definition,
            }
            for name, one in METRICS.items()
        ]
        print_json({"metrics": rows})
        return
    table = [
        [name, one.title, "higher" if one.higher_is_better else "lower", one.definition]
        for name, one in METRICS.items()
    ]
    print_table("metrics", ["name", "title", "better", "definition"], table)
    print_text('--set \'evaluation.metrics=["recall", "ndcg", "mrr"]\' chooses what is computed; K is evaluation.ks')


@app.command()
def loggers(json: options.Json = False) -> None:
    """List the loggers that `training.loggers` takes.

    Example: `flatrec list loggers`
    """
    from flatrec.loggers.registry import ENTRIES as LOGGERS

    if json:
        print_json({"loggers": [{"name": name, "about": one.about} for name, one in LOGGERS.items()]})
        return
    print_table("loggers", ["name", "about"], [[name, one.about] for name, one in LOGGERS.items()])
    print_text("--set training.loggers=tensorboard,csv chooses them; your own is file.py:Class (docs/loggers.md)")


@app.command()
def settings(
    group: Annotated[
        str | None,
        typer.Argument(
            metavar="GROUP_OR_NAME",
            help="Name of a group, such as `training`, or of a model, optimizer or the like, such as `freedom`.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """List all settings, as `--set` and experiment files take them: type, default, range and meaning.

    Example: `flatrec list settings training`
    """
    from flatrec.config.description import plain
    from flatrec.registry.listing import setting_groups

    groups = setting_groups(group)
    if json:
        print_json({"settings": [one.as_dict() for one in groups]})
        return
    for one in groups:
        rows = [
            [one.key(setting), setting.type, setting.default_text, setting.range, plain(setting.meaning)]
            for setting in one.settings
        ]
        if rows:
            print_table(f"{one.group} {one.name}".strip(), ["setting", "type", "default", "range", "meaning"], rows)


@app.command()
def datasets(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a data set to show with its files and encoders.", show_default=False),
    ] = None,
    json: options.Json = False,
) -> None:
    """List the public data sets that `flatrec data fetch` downloads, with the counts that their publishers state.

    Example: `flatrec list datasets ml-1m-mm`
    """
    from dataclasses import asdict

    from flatrec.data.fetching.public_datasets import DATASETS, find_dataset

    chosen = [find_dataset(name)] if name else list(DATASETS.values())
    if json:
        print_json({"datasets": [asdict(dataset) for dataset in chosen]})
        return
    if name:
        _show_dataset(chosen[0])
        return
    rows = [[one.name, *vars(one.counts).values(), ", ".join(one.modalities), one.license] for one in chosen]
    print_table("data sets", ["name", "users", "items", "interactions", "features", "license"], rows)
    print_text("flatrec list datasets NAME shows encoders, terms and addresses; what is empty is not stated")


def _show_dataset(dataset: PublicDataset) -> None:
    """Show what is known of a data set, its encoders and its addresses."""
    from flatrec.data.fetching.plan import NOT_STATED, readable_size

    counts = ", ".join(f"{count or NOT_STATED} {what}" for what, count in vars(dataset.counts).items())
    print_text(f"{dataset.name}: {counts}")
    print_text(f"license: {dataset.license or NOT_STATED}; terms of use: {dataset.terms or NOT_STATED}")
    print_text(f"source: {dataset.source}" + (f", read on {dataset.read_on}" if dataset.read_on else ""))
    for modality in dataset.modalities:
        names = [encoder.name for encoder in dataset.encoders if encoder.modality == modality]
        print_text(f"{modality}: {names[0]} (default)" + "".join(f", {name}" for name in names[1:]))
    for file in (*dataset.files, *(encoder.file for encoder in dataset.encoders if encoder.file)):
        print_text(f"{file.address}" + (f" ({readable_size(file.size)})" if file.size else ""))


def _first_sentence(kind: type) -> str:
    from flatrec.config.description import one_line, parse_docstring

    return one_line(parse_docstring(kind).short_description)


def _schedule(name: str, about: str) -> dict[str, Any]:
    """What a program reads of a schedule: the settings that must be given, and the defaults of all others."""
    from flatrec.registry.instantiate import config_class

    fields = config_class("schedule", name).model_fields
    required = [key for key, field in fields.items() if field.is_required()]
    defaults = {key: field.default for key, field in fields.items() if not field.is_required()}
    return {"name": name, "about": about, "required": required, "settings": defaults}


def _schedule_cells(row: Mapping[str, Any]) -> list[str]:
    optional = [f"[{key}]" if value is None else f"{key}={value}" for key, value in row["settings"].items()]
    return [row["name"], row["about"], ", ".join([*row["required"], *optional])]


def _cited(one: Entry) -> str:
    """The paper on one line, its link on the next."""
    return "\n".join(one.paper.rsplit(", ", 1))


def _show_model(one: Description) -> None:
    """A table of the settings, those of other groups in the search space last; and the model's own defaults."""
    from flatrec.config.description import plain
    from flatrec.registry.model_defaults import defaults_sentence

    rows = []
    for setting in one.settings:
        choices = f" ({setting.type})" if "'" in setting.type else ""
        meaning = plain(setting.meaning) + choices
        rows.append([f"model.{setting.name}", str(setting.default), _tried(one.tried(setting)), meaning])
    own = {row[0] for row in rows}
    rows += [[key, "", _tried(values), ""] for key, values in one.search_space.items() if key not in own]
    print_text(f"{one.name}: {one.about}")
    print_text(f"modalities: {one.modalities}" + (f"; {one.reference}, {one.reference.link}" if one.reference else ""))
    if rows:
        print_table("", ["setting", "default", "search space", "meaning"], rows)
    if one.defaults:
        print_text(defaults_sentence(one.defaults))


def _tried(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _show(kind: Kind, title: str, described: Mapping[str, str], *, json: bool) -> None:
    """A table of strategies or optimizers with their settings as they are where nothing is set."""
    from flatrec.config import Component
    from flatrec.registry.instantiate import checked

    defaults = {name: checked(kind, Component(name)).options for name in described}
    if json:
        rows = [{"name": name, "about": about, "settings": dict(defaults[name])} for name, about in described.items()]
        print_json({title: rows})
        return
    table = [
        [name, about, ", ".join(f"{key}={value}" for key, value in defaults[name].items())]
        for name, about in described.items()
    ]
    print_table(title, ["name", "about", "settings and defaults"], table)
