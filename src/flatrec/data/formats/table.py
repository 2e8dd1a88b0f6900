"""Plain tables of clicks with any column names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from flatrec.data.assembly import ItemTexts, SplitSettings, assemble
from flatrec.data.dataset import Dataset
from flatrec.data.formats.files import (
    as_parts,
    as_text,
    columns_of,
    dictionary,
    existing_pictures,
    scan,
    select,
)
from flatrec.data.formats.keyed import ITEM_NAMES, FeatureSource, guess, read_features

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
USER_NAMES = (
    "user", "user_id", "userid", "uid", "customer", "customer_id", "customerid", "visitor", "visitor_id",
    "visitorid", "reviewer", "reviewer_id", "reviewerid", "session", "session_id",
)  # fmt: skip
PART_NAMES = ("x_label", "split", "part")


@dataclass(frozen=True)
class ItemSource:
    """A table with a row an item.

    Args:
        file: ``.csv``, ``.tsv`` or ``.parquet``.
        id_column: the item ids; guessed from the usual names if left out.
        title_column: readable names.
        picture_column: image files, relative to the folder of the table; empty where an item has none.
    """

    file: Path
    id_column: str | None = None
    title_column: str | None = None
    picture_column: str | None = None


@dataclass(frozen=True)
class TableSettings:
    """Which files and columns make up a data set.

    Args:
        interactions: ``.csv``, ``.tsv`` or ``.parquet`` with a row a pair.
        user_column: the user ids; guessed from USER_NAMES if left out.
        item_column: the item ids; guessed from ITEM_NAMES if left out.
        part_column: ``train``/``valid``/``test`` or 0/1/2; without one, pairs are split at random.
        items: titles and pictures.
        features: feature files by modality.
        split: filter and split for pairs without parts.
        name: how reports call the data set; the file's name if left out.

    Example:
        >>> settings = TableSettings(Path("clicks.csv"), user_column="customer", item_column="sku")
        >>> settings.split.core
        5
    """

    interactions: Path
    user_column: str | None = None
    item_column: str | None = None
    part_column: str | None = None
    items: ItemSource | None = None
    features: Mapping[str, FeatureSource] = field(default_factory=dict)
    split: SplitSettings = field(default_factory=SplitSettings)
    name: str | None = None


def read(settings: TableSettings) -> Dataset:
    """The data set that the settings describe.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a column is missing, a file is malformed, or the files do not fit one another.
    """
    return assemble(
        settings.name or settings.interactions.stem,
        _pairs(settings),
        settings=settings.split,
        features={name: read_features(source) for name, source in settings.features.items()},
        texts=_texts(settings.items),
    )


def read_file(path: Path) -> Dataset:
    """The data set of a single table: its columns are guessed by their usual names, in any case.

    Users are the first of USER_NAMES that there is, items the first of ITEM_NAMES, and a given split the
    first of PART_NAMES; ``id`` alone is the last guess for items.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no column is called like users or items, or the file is malformed.
    """
    columns = {column.lower(): column for column in reversed(columns_of(scan(path), path))}
    part = next((columns[name] for name in PART_NAMES if name in columns), None)
    return read(TableSettings(path, part_column=part))


def _pairs(settings: TableSettings) -> pl.DataFrame:
    path = settings.interactions
    frame = scan(path)
    found = columns_of(frame, path)
    columns = {
        "user": settings.user_column or guess(found, USER_NAMES, path, "user"),
        "item": settings.item_column or guess(found, ITEM_NAMES, path, "item"),
    }
    if settings.part_column:
        columns["part"] = settings.part_column
    table = select(frame, path, columns)
    texts = [as_text(table[name], path) for name in ("user", "item")]
    parts = [as_parts(table["part"], path)] if settings.part_column else []
    return pl.DataFrame([*texts, *parts])


def _texts(source: ItemSource | None) -> ItemTexts:
    if source is None:
        return ItemTexts()
    path = source.file
    frame = scan(path)
    columns = {"id": source.id_column or guess(columns_of(frame, path), ITEM_NAMES, path, "item")}
    columns |= {"title": source.title_column} if source.title_column else {}
    columns |= {"picture": source.picture_column} if source.picture_column else {}
    table = select(frame, path, columns)
    texts = {name: as_text(table[name], path) for name in columns}
    given = {name: dictionary(texts["id"], text, path) for name, text in texts.items()}
    return ItemTexts(given.get("title", {}), existing_pictures(given.get("picture", {}), path))
