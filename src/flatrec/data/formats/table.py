"""Plain tables of clicks with any column names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from flatrec.data.builder import ItemTexts, SplitSettings, build_dataset
from flatrec.data.cleaning import TableCleaningReport
from flatrec.data.dataset import Dataset
from flatrec.data.formats.columns import as_parts, dictionary, missing_ids
from flatrec.data.formats.files import existing_images, scan
from flatrec.data.formats.keyed import ITEM_NAMES, FeatureSource, guess, read_features
from flatrec.data.formats.text import PACKED, PLAIN, Layout

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")  # of which the texts may be packed by gzip
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
        image_column: image files, relative to the folder of the table; empty where an item has none.
        layout: how a text table is written.
    """

    file: Path
    id_column: str | None = None
    title_column: str | None = None
    image_column: str | None = None
    layout: Layout = PLAIN


@dataclass(frozen=True)
class TableSettings:
    """Which files and columns make up a data set.

    Args:
        interactions: ``.csv``, ``.tsv`` or ``.parquet`` with a row a pair.
        user_column: the user ids; guessed from USER_NAMES if left out.
        item_column: the item ids; guessed from ITEM_NAMES if left out.
        part_column: ``train``/``valid``/``test`` or 0/1/2; without one, pairs are split at random.
        items: titles and images.
        features: feature files by modality.
        split: filter and split for pairs without parts.
        name: how reports call the data set; the file's name if left out.
        layout: how ``interactions`` is written, where it is a text table.

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
    layout: Layout = PLAIN


def read(settings: TableSettings) -> Dataset:
    """The data set that the settings describe.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a column is missing, a file is malformed, or the files do not fit one another.
    """
    pairs, repairs = _pairs(settings)
    path = settings.interactions
    return build_dataset(
        settings.name or (Path(path.stem) if path.suffix.lower() == PACKED else path).stem,
        pairs,
        settings=settings.split,
        features={name: read_features(source) for name, source in settings.features.items()},
        texts=_texts(settings.items),
        repairs=repairs,
    )


def read_file(path: Path) -> Dataset:
    """The data set of a single table: its columns are guessed by their usual names, in any case.

    Users are the first of USER_NAMES that there is, items the first of ITEM_NAMES, and a given split the
    first of PART_NAMES; ``id`` alone is the last guess for items.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no column is called like users or items, or the file is malformed.
    """
    found = scan(path, wanted=(USER_NAMES, ITEM_NAMES)).columns
    columns = {column.lower(): column for column in reversed(found)}
    part = next((columns[name] for name in PART_NAMES if name in columns), None)
    return read(TableSettings(path, part_column=part))


def _pairs(settings: TableSettings) -> tuple[pl.DataFrame, TableCleaningReport]:
    path = settings.interactions
    wanted = [
        (one,) if one else names
        for one, names in ((settings.user_column, USER_NAMES), (settings.item_column, ITEM_NAMES))
    ]
    table = scan(path, settings.layout, [*wanted, *([(settings.part_column,)] if settings.part_column else [])])
    columns = {
        "user": settings.user_column or guess(table.columns, USER_NAMES, path, "user"),
        "item": settings.item_column or guess(table.columns, ITEM_NAMES, path, "item"),
    }
    if settings.part_column:
        columns["part"] = settings.part_column
    rows = table.select(columns)
    users, items = (rows.ids(name, f"pairs without {name} id") for name in ("user", "item"))
    parts = [as_parts(rows["part"], path).alias("part")] if settings.part_column else []
    pairs = pl.DataFrame([users.ids.alias("user"), items.ids.alias("item"), *parts])
    return pairs, rows.repairs(users, items)


def _texts(source: ItemSource | None) -> ItemTexts:
    if source is None:
        return ItemTexts()
    path = source.file
    given = {"title": source.title_column, "image": source.image_column}
    named = {name: column for name, column in given.items() if column}
    wanted = [(source.id_column,) if source.id_column else ITEM_NAMES, *((column,) for column in named.values())]
    table = scan(path, source.layout, wanted)
    rows = table.select({"id": source.id_column or guess(table.columns, ITEM_NAMES, path, "item"), **named})
    ids = rows.ids("id")
    texts = {name: dictionary(ids.ids, rows.texts(name), path) for name in named}
    missing = missing_ids(ids.ids)
    return ItemTexts(
        texts.get("title", {}),
        existing_images(texts.get("image", {}), path),
        ids=tuple(ids.ids.filter(~missing).to_list()),
        repairs=rows.repairs(ids, without_id=int(missing.sum())),
        source=str(path),
    )
