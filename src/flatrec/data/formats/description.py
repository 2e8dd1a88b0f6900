"""The description ``dataset.toml``, which names the files and columns of a data set."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

from flatrec.config import SplitSettings, validate
from flatrec.data.builder import EventSettings
from flatrec.data.dataset import Dataset
from flatrec.data.formats import DataFormat
from flatrec.data.formats.table import ItemSource, TableSettings, read_tables
from flatrec.data.id_repair import IdMatching
from flatrec.data.tables.events import MissingIds, RowSettings
from flatrec.data.tables.feature_files import FeatureSource
from flatrec.data.tables.groups import GroupSource
from flatrec.data.tables.logged import LoggedEvents
from flatrec.data.tables.malformed import reading
from flatrec.data.tables.section import LAYOUT_KEYS, Section
from flatrec.data.tables.text import PLAIN
from flatrec.data.tables.times import parse_duration

ID_MATCHING: tuple[IdMatching, ...] = ("trim", "exact", "trim+lower")
MISSING_IDS: tuple[MissingIds, ...] = get_args(MissingIds)
DESCRIPTION = "dataset.toml"
ROW_COLUMNS = ("time_column", "event_column", "quantity_column", "rating_column", "weight_column")
KEYS = (
    "name", "interactions", "user_column", "item_column", "split_column", *ROW_COLUMNS, "events", "purchase_events",
    "return_events", "weigh_quantities", "half_life", "min_rating", "repeat", "missing_ids", "id_matching", "k_core",
    "split", "items", "features", "groups", *LAYOUT_KEYS,
)  # fmt: skip
ITEM_COLUMNS = ("id_column", "title_column", "image_column")
ITEM_KEYS = ("file", *ITEM_COLUMNS, "columns", *LAYOUT_KEYS)
GROUP_KEYS = ("members", "interactions", "group_column", "member_column", "prefix", *LAYOUT_KEYS)
FEATURE_KEYS = ("file", "ids", "id_column", *LAYOUT_KEYS)


def matches(path: Path) -> bool:
    """Return True for a ``.toml`` file and for a folder with a ``dataset.toml``."""
    return (path / DESCRIPTION).is_file() if path.is_dir() else path.suffix.lower() == ".toml"


def read(path: Path) -> Dataset:
    """Read the data set that a description, or the ``dataset.toml`` of a folder, describes.

    Raises:
        FileNotFoundError: the description, or a file that it names, does not exist.
        ValueError: the description has unknown keys or wrong values, or a file does not fit it.
    """
    return read_tables(parse(path / DESCRIPTION if path.is_dir() else path))


def read_split(path: Path, split: SplitSettings) -> Dataset:
    """Read the data set with another split; that of the description, if its method is another one, is not tried.

    Raises:
        FileNotFoundError: as in :func:`read`.
        ValueError: as in :func:`read`, or the data cannot be split so.
    """
    return _read_split(parse(path / DESCRIPTION if path.is_dir() else path), split)


def read_logged(path: Path, split: SplitSettings, logged: LoggedEvents) -> Dataset:
    """Read the data set with another split and with the events of a log.

    Raises:
        FileNotFoundError: as in :func:`read`.
        ValueError: as in :func:`read`, the data cannot be split so, or have no times.
    """
    return _read_split(replace(parse(path / DESCRIPTION if path.is_dir() else path), logged=logged), split)


def _read_split(settings: TableSettings, split: SplitSettings) -> Dataset:
    own = settings.split.method
    if own is None or split.method in (None, own):
        return read_tables(settings).split_again(split)
    dataset = read_tables(replace(settings, split=split))
    report = dataset.split_report
    return replace(dataset, split_report=replace(report, requested=report.settings))


def parse(path: Path) -> TableSettings:
    """Read a description; its file names are relative to its own folder.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not TOML, an unknown key, or a value of the wrong type.
    """
    with reading(path, "a TOML description"):
        table: Mapping[str, object] = tomllib.loads(_decoded(path.read_bytes()))
    top = Section(table, KEYS, f"{path}", path.parent)
    id_matching = top.choice("id_matching", ID_MATCHING)
    items = _items(top, id_matching)
    return TableSettings(
        top.file("interactions"),
        user_column=top.text("user_column"),
        item_column=top.text("item_column"),
        split_column=top.text("split_column"),
        rows=_rows(top, id_matching),
        items=items,
        features=_features(top, items, id_matching),
        split=_split(top),
        events=_events(top),
        name=top.text("name") or path.resolve().parent.name,
        layout=top.layout(),
        groups=_groups(top, id_matching),
    )


def _groups(top: Section, id_matching: IdMatching) -> GroupSource | None:
    """Return the tables of groups, written like the table of interactions unless their section says otherwise."""
    groups = top.section("groups", GROUP_KEYS)
    if groups is None:
        return None
    layout = groups.layout()
    return GroupSource(
        groups.file("members"),
        groups.file("interactions"),
        group_column=groups.text("group_column"),
        member_column=groups.text("member_column"),
        prefix=groups.text("prefix") or "",
        layout=top.layout() if layout == PLAIN else layout,
        id_matching=id_matching,
    )


def _rows(top: Section, id_matching: IdMatching) -> RowSettings:
    events = top.section("events", None)
    columns = {name: top.text(name) for name in ROW_COLUMNS}
    weights = events.numbers() if events is not None else {}
    purchases, returns, min_rating = top.texts("purchase_events"), top.texts("return_events"), top.number("min_rating")
    missing_ids = top.choice("missing_ids", MISSING_IDS)
    with _naming(top.where):
        return RowSettings(
            **columns,
            event_weights=weights,
            purchase_events=purchases,
            return_events=returns,
            min_rating=min_rating,
            missing_ids=missing_ids,
            id_matching=id_matching,
        )


def _events(top: Section) -> EventSettings:
    half_life = top.text("half_life")
    k_core, weigh_quantities, repeat = top.count("k_core", 0), top.flag("weigh_quantities"), top.flag("repeat")
    with _naming(top.where):
        seconds = None if half_life is None else parse_duration(half_life)
        return EventSettings(k_core, weigh_quantities, seconds, repeat)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Name the description in the errors of settings that do not fit each other."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _items(top: Section, id_matching: IdMatching) -> ItemSource | None:
    items = top.section("items", ITEM_KEYS)
    if items is None:
        return None
    id_column, title_column, image_column = map(items.text, ITEM_COLUMNS)
    return ItemSource(
        items.file("file"),
        id_column,
        title_column,
        image_column,
        columns=items.texts("columns"),
        layout=items.layout(),
        id_matching=id_matching,
    )


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _features(top: Section, items: ItemSource | None, id_matching: IdMatching) -> dict[str, FeatureSource]:
    """Return the feature files; one that names no ids has its rows in the order of the table of items."""
    features = top.section("features", None)
    sources: dict[str, FeatureSource] = {}
    for modality in features.table if features else ():
        section = features.section(modality, FEATURE_KEYS) if features else None
        if section is None:
            continue
        ids = section.folder / name if (name := section.text("ids")) else items.file if items else None
        column = section.text("id_column")
        if column is None and items is not None and ids == items.file:
            column = items.id_column
        layout = section.layout()
        if items is not None and ids == items.file and layout == PLAIN:
            layout = items.layout
        sources[modality] = FeatureSource(section.file("file"), ids, column, layout, id_matching)
    return sources


def _split(top: Section) -> SplitSettings:
    with _naming(top.where):
        return validate(SplitSettings, top.table.get("split", {}), "split")


FORMAT = DataFormat("description", DESCRIPTION, matches, read, order=0, read_split=read_split, read_logged=read_logged)
