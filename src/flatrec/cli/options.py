"""Options that several commands share, and the experiment they spell out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from flatrec import config
from flatrec.config import Experiment

Data = Annotated[
    str | None,
    typer.Option(
        help="A folder, a table or a dataset.toml; `shop` is the built-in shop (a folder of that name: `./shop`).",
        show_default=False,
    ),
]
Model = Annotated[str | None, typer.Option(help="See `flatrec list models`.", show_default=False)]
Seed = Annotated[int | None, typer.Option(help="Decides everything random. Default 0.", show_default=False)]
File = Annotated[
    Path | None,
    typer.Option("--experiment", help="A TOML file of settings; options given here win over it.", show_default=False),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, e.g. strategy.rho=0.2; repeatable; wins over all."),
]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda. Default auto.", show_default=False)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder, bit for bit.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")]


def experiment(file: Path | None, sets: Sequence[str] | None, **given: object) -> Experiment:
    """The experiment of a command: defaults, then the file, then options that were given, then ``--set``.

    Args:
        file: a TOML file.
        sets: key=value texts.
        given: top-level settings; ``model`` and ``strategy`` by name; None is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an unknown key or a bad value.
    """
    one = config.read(file) if file is not None else Experiment()
    for key, value in given.items():
        if value is not None:
            one = config.changed(one, {key: {"name": value} if key in ("model", "strategy") else value})
    for text in sets or ():
        one = config.changed(one, config.assignment(text))
    return one
