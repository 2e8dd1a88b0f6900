"""Options that several commands share, and the experiment they spell out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.utils.messages import clipped

if TYPE_CHECKING:
    from flatrec.config import Experiment
    from flatrec.data.interactions import Split
    from flatrec.models.base import Cold

Data = Annotated[
    str | None,
    typer.Option(
        help="Path of a folder, a table or a dataset.toml; `shop` is the built-in shop (`./shop`: a folder).",
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(help="Name of a model (`flatrec list models`), or your own as `file.py:Class`.", show_default=False),
]
Strategy = Annotated[
    str | None,
    typer.Option(
        help="Name of a strategy (`flatrec list strategies`), or your own as `file.py:Class`; a final `+` mixes it.",
        show_default=False,
    ),
]
OwnModel = Annotated[
    str | None,
    typer.Option(help="Class of the run's model as `file.py:Class`, if the model is your own.", show_default=False),
]
OwnStrategy = Annotated[
    str | None,
    typer.Option(
        help="Class of the run's strategy as `file.py:Class`, if the strategy is your own.", show_default=False
    ),
]
OwnMetrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        help="Class of a metric of the run as `file.py:Class`, if the metric is your own; repeatable.",
        show_default=False,
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random. Default: 0.", show_default=False)]
File = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file of settings; options of the command override it.", show_default=False),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any setting, such as strategy.rho=0.2; repeatable; overrides everything else.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps. Default: auto.", show_default=False),
]
Resume = Annotated[bool, typer.Option("--resume", help="Resume the run in the folder, bit for bit.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")]
RecommenderDir = Annotated[Path, typer.Argument(help="Folder of a run, or of a recommender.", show_default=False)]
RunDir = Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)]
MovedData = Annotated[str | None, typer.Option(help="Path of the run's data, if they were moved.", show_default=False)]
NewerData = Annotated[
    str | None,
    typer.Option(
        help="Path of newer data of the same shop: new interactions are left out of lists, and users who were not "
        "trained on get lists by theirs. If the run has no recommender: where its data are now.",
        show_default=False,
    ),
]
EvaluatedSplit = Annotated[str, typer.Option(help="Split to score: valid or test.")]
NNeighbors = Annotated[
    int | None, typer.Option(help="Number of known items per modality that a new item is compared with. Default: 10.")
]
Method = Annotated[
    str | None,
    typer.Option(help="Method of embedding new items: features or nearest. Default: the method of the model."),
]
N_NEIGHBORS = 10
METHODS: dict[Cold, str] = {
    "features": "the model's own equations (features)",
    "nearest": "the most similar known items (nearest)",
}
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")]


def counted(option: str, count: int, most: int = 10_000) -> int:
    """A count that an option gives.

    Raises:
        ValueError: it is below 1, or so large that it can only be a slip.
    """
    if not 1 <= count <= most:
        raise ValueError(f"{option} must lie between 1 and {most}, but is {clipped(str(count))}")
    return count


def evaluated_split(name: str) -> Split:
    """Return the split of that name.

    Raises:
        ValueError: it is neither the validation nor the test split.
    """
    from flatrec.data.interactions import SPLITS

    for split in SPLITS[1:]:
        if name == split:
            return split
    raise ValueError(f"--split must be valid or test, but is {name!r}")


Group = Annotated[
    bool, typer.Option("--group", help="Whether groups alone are scored and monitored: evaluation.users = groups.")
]


def experiment(file: Path | None, sets: Sequence[str] | None, **given: object) -> Experiment:
    """The experiment of a command: defaults, then the file, then options that were given, then ``--set``.

    Names are set before the settings of what they name, in whatever order they come: another name drops those settings.

    Options, ``--set`` and a file that the user wrote name classes of the user's own, which are imported. The file of a
    run folder does not: what it says of such a class is looked for among those that options name.

    Args:
        file: a TOML file.
        sets: key=value texts.
        given: top-level settings; ``model`` and ``strategy`` by name; None is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an unknown key or a bad value.
    """
    from flatrec import config
    from flatrec.registry.naming import import_loggers, import_metrics, with_named

    settings = config.read(file) if file is not None else config.Experiment()
    if file is not None and not _of_run(file):
        settings = with_named(settings)
    for key, value in given.items():
        if value is not None:
            named = key in _CLASSES
            settings = _named(settings, key, str(value)) if named else config.changed(settings, {key: value})
    for tree in sorted(map(config.assignment, sets or ()), key=_comes_later):
        for key in _CLASSES:
            group = tree.get(key)
            if isinstance(group, dict) and isinstance(group.get("name"), str):
                settings = _named(settings, key, group.pop("name"))
        settings = config.changed(settings, tree)
        if "metrics" in tree.get("evaluation", ()):
            named_metrics = import_metrics(settings.evaluation.metrics)
            settings = settings.replace(evaluation=settings.evaluation.replace(metrics=named_metrics))
        if "loggers" in tree.get("training", ()):
            settings = settings.replace(training=import_loggers(settings.training))
    return settings


_CLASSES = ("model", "strategy")
_CHOICES = frozenset({"name", "kind", "method"})  # settings that drop the other settings of their group


def _comes_later(tree: Mapping[str, object]) -> bool:
    """Return whether an assignment chooses nothing that has settings of its own."""
    return not any(isinstance(group, dict) and _CHOICES & group.keys() for group in tree.values())


StudyOut = Annotated[
    Path, typer.Option("--out", help="Folder for runs, tables, figures and study.json.", show_default=False)
]
WorkerCount = Annotated[
    int, typer.Option("--workers", help="Number of runs trained at the same time; on a cluster, -1 means one per core.")
]
Backend = Annotated[str, typer.Option("--backend", help="Backend that trains the runs: local, ray or dask.")]
ClusterAddress = Annotated[
    str | None, typer.Option("--address", help="Address of the Ray or Dask cluster.", show_default=False)
]


def names(text: str | None) -> tuple[str, ...]:
    """Return the names in a list that is separated by commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def seeds(first: int | None, count: int | None, default: Sequence[int]) -> tuple[int, ...]:
    """Return ``count`` seeds from ``first`` on; what is None is that of the default seeds.

    Raises:
        ValueError: the count is out of range.
    """
    start = default[0] if first is None else first
    return tuple(range(start, start + (len(default) if count is None else counted("--seeds", count))))


def _of_run(file: Path) -> bool:
    """Whether training wrote a file, into the folder of a run."""
    from flatrec.runs import run_dir

    return file.name == run_dir.EXPERIMENT and (file.parent / run_dir.DATA).exists()


def _named(settings: Experiment, key: str, name: str) -> Experiment:
    """The experiment with another model or strategy, or with that of its run where the same one is named."""
    from flatrec import config
    from flatrec.registry.naming import import_named, of_run
    from flatrec.utils import user_classes

    before = settings.model if key == "model" else settings.strategy
    if user_classes.parsed(before.name).digest and user_classes.find(before.name) is None:  # a run folder's
        of_run(before, key, name)
        return settings
    return config.changed(settings, {key: {"name": import_named(key, name)}})
