"""flatrec data split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import is_standard_output, print_json, print_result, print_table, print_text

if TYPE_CHECKING:
    from flatrec.config import SplitSettings
    from flatrec.data.dataset import Dataset
    from flatrec.data.splitting import SplitDescription


def split_data(
    path: Annotated[
        str, typer.Argument(help="Path of a folder, a table or a dataset.toml; `shop` is the built-in shop.")
    ],
    out: Annotated[
        Path, typer.Option(help="Table to write: .parquet or .csv; - for CSV on standard output.", show_default=False)
    ],
    split: Annotated[
        str | None,
        typer.Option(help="Method of splitting, such as time. Default: as the data say.", show_default=False),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the split, such as split.n_last=2; repeatable."),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Split a data set, and write users, items, times, weights and splits as one table for other programs.

    Example: `flatrec data split my-shop --split time --set split.test_from=2024-03-01 --out split.parquet`
    """
    from flatrec.api import load
    from flatrec.cli.messages import print_progress
    from flatrec.data.split_table import split_table, write_split_table

    if is_standard_output(out) and json:
        raise ValueError("--out - and --json both write to standard output; give one of them")
    dataset = load(path, split_settings(split, sets or ()))
    if is_standard_output(out):
        print_result(split_table(dataset).write_csv())
        for sentence in _sentences(dataset):
            print_progress(f"- {sentence}")
        return
    write_split_table(dataset, out, overwrite=overwrite)
    figures = dataset.split_description
    if json:
        print_json({"path": str(out), "fingerprint": dataset.fingerprint, **figures.as_dict()})
        return
    print_split(dataset.name, figures)
    for sentence in _sentences(dataset):
        print_text(f"- {sentence}")
    print_text(f"The table is in {out}")


def _sentences(dataset: Dataset) -> Iterator[str]:
    """Yield what is to be known of the split and of its table."""
    yield from dataset.split_report.sentences()
    if dataset.interactions.repeats:
        yield "users have an item in several splits: read the table by a dataset.toml with repeat = true"


def print_split(name: str, figures: SplitDescription) -> None:
    """Print how a data set is split: settings, then one row for each split."""
    settings = ", ".join(
        f"{key} {list(value) if isinstance(value, tuple) else value}" for key, value in figures.settings.given.items()
    )
    rows = [
        [
            split,
            part.interactions,
            part.users,
            part.users_without_training,
            part.items,
            part.items_without_training,
            *([part.first or "", part.last or ""] if dated else []),
        ]
        for dated in [any(part.first for part in figures.splits.values())]
        for split, part in figures.splits.items()
    ]
    columns = ["split", "interactions", "users", "without training", "items", "without training"]
    dates = ["first (UTC)", "last (UTC)"] if len(rows[0]) > len(columns) else []
    print_table(f"{name} · {settings}", [*columns, *dates], rows)


def split_settings(method: str | None, sets: Sequence[str]) -> SplitSettings:
    """Return the settings of the options.

    Raises:
        ValueError: one does not belong to the split, or has a wrong value.
    """
    from flatrec import config

    experiment = config.Experiment()
    for text in [*sets, *([f"split.method={method}"] if method is not None else [])]:
        tree = config.assignment(text)
        if list(tree) != ["split"]:
            raise ValueError(
                f"--set takes settings of the split here, such as split.test_from=2024-03-01, not {text!r}"
            )
        experiment = config.changed(experiment, tree)
    return experiment.split
