"""Single tables of interactions with any column names, and sets of tables that a description names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from flatrec.config.split import SplitSettings
from flatrec.data.builder import EventSettings, ItemMetadata, build_dataset
from flatrec.data.cleaning import TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.formats import DataFormat
from flatrec.data.tables.columns import as_splits, is_missing, to_dict
from flatrec.data.tables.feature_files import ITEM_NAMES, FeatureSource, guess_column, read_features
from flatrec.data.tables.files import NO_FILE, TABLE_SUFFIXES, Table, existing_images, path_of, scan
from flatrec.data.tables.parquet import is_parquet
from flatrec.data.tables.text import GZIPPED, PLAIN, Layout, ending

USER_NAMES = (
    "user", "user_id", "userid", "uid", "customer", "customer_id", "customerid", "visitor", "visitor_id",
    "visitorid", "reviewer", "reviewer_id", "reviewerid", "session", "session_id",
)  # fmt: skip
SPLIT_NAMES = ("x_label", "split", "part")


@dataclass(frozen=True)
class ItemSource:
    """A table with one row per item."""

    file: Path | Table = NO_FILE  # ``.csv``, ``.tsv`` or ``.parquet``; left out for a frame
    id_column: str | None = None  # the column of item ids; found by one of ITEM_NAMES if left out
    title_column: str | None = None  # the column of readable names
    image_column: str | None = None  # the column of image files, relative to the table's folder; empty for none
    layout: Layout = PLAIN  # how the file is written, if it is a text table


@dataclass(frozen=True)
class TableSettings:
    """Which files and columns make up a data set: what a ``dataset.toml`` says.

    Example:
        >>> settings = TableSettings(Path("clicks.csv"), user_column="customer", item_column="sku")
        >>> settings.events.k_core
        0
    """

    interactions: Path | Table = NO_FILE  # ``.csv``, ``.tsv``, ``.parquet``, one row per event; left out for a frame
    user_column: str | None = None  # the column of user ids; found by one of USER_NAMES if left out
    item_column: str | None = None  # the column of item ids; found by one of ITEM_NAMES if left out
    split_column: str | None = None  # the column with ``train``/``valid``/``test`` or 0/1/2; a random split without one
    items: ItemSource | None = None  # the table of titles and images
    features: Mapping[str, FeatureSource] = field(default_factory=dict)  # feature files by modality
    split: SplitSettings = field(default_factory=SplitSettings)  # how interactions are split
    events: EventSettings = field(default_factory=EventSettings)  # how events become interactions
    name: str | None = None  # the name of the data set in reports; that of the file if left out
    layout: Layout = PLAIN  # how ``interactions`` is written, if it is a text table


def read_tables(settings: TableSettings) -> Dataset:
    """Read the data set that the settings describe.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a column is missing, a file is malformed, or the files do not fit one another.
    """
    interactions, cleaning_report = _interactions(settings)
    path = path_of(settings.interactions)
    return build_dataset(
        settings.name or (Path(path.stem) if path.suffix.lower() == GZIPPED else path).stem,
        interactions,
        settings=settings.split,
        events=settings.events,
        features={name: read_features(source) for name, source in settings.features.items()},
        metadata=_metadata(settings.items),
        cleaning_report=cleaning_report,
    )


def read(path: Path) -> Dataset:
    """Read the data set of a single table, whose columns are recognized by their names, in upper or lower case.

    The first of USER_NAMES that the table has is the column of users, the first of ITEM_NAMES that of items, and the
    first of SPLIT_NAMES that of splits; ``id`` is the last name that is tried for items.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no column has a name of users or items, or the file is malformed.
    """
    return read_tables(guess_settings(path))


def guess_settings(interactions: Path | Table) -> TableSettings:
    """Return settings of a single table, whose columns are recognized by their names; see :func:`read`."""
    names = scan(interactions, wanted=(USER_NAMES, ITEM_NAMES)).columns
    columns = {column.lower(): column for column in reversed(names)}
    split = next((columns[name] for name in SPLIT_NAMES if name in columns), None)
    return TableSettings(interactions, split_column=split)


def _interactions(settings: TableSettings) -> tuple[pl.DataFrame, TableCleaningReport]:
    path = path_of(settings.interactions)
    wanted = [
        (column,) if column else names
        for column, names in ((settings.user_column, USER_NAMES), (settings.item_column, ITEM_NAMES))
    ]
    table = scan(
        settings.interactions,
        settings.layout,
        [*wanted, *([(settings.split_column,)] if settings.split_column else [])],
    )
    columns = {
        "user": settings.user_column or guess_column(table.columns, USER_NAMES, path, "user"),
        "item": settings.item_column or guess_column(table.columns, ITEM_NAMES, path, "item"),
    }
    if settings.split_column:
        columns["split"] = settings.split_column
    rows = table.select(columns)
    users, items = (rows.ids(name, f"interactions without {name} id") for name in ("user", "item"))
    splits = [as_splits(rows["split"], path).alias("split")] if settings.split_column else []
    interactions = pl.DataFrame([users.ids.alias("user"), items.ids.alias("item"), *splits])
    return interactions, rows.cleaning_report(users, items)


def _metadata(source: ItemSource | None) -> ItemMetadata:
    if source is None:
        return ItemMetadata()
    path = path_of(source.file)
    columns = {"title": source.title_column, "image": source.image_column}
    named = {name: column for name, column in columns.items() if column}
    wanted = [(source.id_column,) if source.id_column else ITEM_NAMES, *((column,) for column in named.values())]
    table = scan(source.file, source.layout, wanted)
    rows = table.select({"id": source.id_column or guess_column(table.columns, ITEM_NAMES, path, "item"), **named})
    ids = rows.ids("id")
    texts = {name: to_dict(ids.ids, rows.texts(name), path) for name in named}
    missing = is_missing(ids.ids)
    return ItemMetadata(
        texts.get("title", {}),
        existing_images(texts.get("image", {}), path),
        ids=tuple(ids.ids.filter(~missing).to_list()),
        cleaning_report=rows.cleaning_report(ids, without_id=int(missing.sum())),
        source=str(path),
    )


def matches(path: Path) -> bool:
    """Return True for a ``.csv``, ``.tsv`` or ``.parquet`` table and for a folder of Parquet parts."""
    return is_parquet(path) or (path.is_file() and ending(path) in TABLE_SUFFIXES)


FORMAT = DataFormat("table", "a .csv, .tsv or .parquet table", matches, read, order=90)
