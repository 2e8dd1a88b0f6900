"""Single tables of interactions with any column names, and sets of tables that a description names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from flatrec.config.split import SplitSettings
from flatrec.data.builder import EventSettings, ItemMetadata, build_dataset
from flatrec.data.dataset import Dataset
from flatrec.data.formats import DataFormat
from flatrec.data.id_repair import IdMatching
from flatrec.data.item_columns import check_names
from flatrec.data.split_table import WEIGHTED
from flatrec.data.tables.columns import is_missing, to_dict
from flatrec.data.tables.events import Events, RowSettings, read_events
from flatrec.data.tables.feature_files import ITEM_NAMES, FeatureSource, guess_column, read_features
from flatrec.data.tables.files import NO_FILE, TABLE_SUFFIXES, Table, TableRows, path_of, scan
from flatrec.data.tables.groups import GroupSource, join_events, read_memberships
from flatrec.data.tables.images import existing_images
from flatrec.data.tables.logged import LoggedEvents, join_logged
from flatrec.data.tables.parquet import is_parquet
from flatrec.data.tables.text import GZIPPED, PLAIN, Layout, ending
from flatrec.data.tables.times import as_timestamps
from flatrec.data.tables.typed import typed_columns
from flatrec.utils.messages import clipped

USER_NAMES = (
    "user", "user_id", "userid", "uid", "customer", "customer_id", "customerid", "visitor", "visitor_id",
    "visitorid", "reviewer", "reviewer_id", "reviewerid", "session", "session_id",
)  # fmt: skip
SPLIT_NAMES = ("x_label", "split", "part")
TIME_NAMES = (
    "timestamp", "time", "datetime", "date_time", "date", "event_time", "created_at", "unix_timestamp", "unixtime",
)  # fmt: skip


GUESSED_TIME = "guessed time"  # the new name of that column


@dataclass(frozen=True)
class ItemSource:
    """A table with one row per item."""

    file: Path | Table = NO_FILE  # ``.csv``, ``.tsv`` or ``.parquet``; left out for a frame
    id_column: str | None = None  # the column of item ids; found by one of ITEM_NAMES if left out
    title_column: str | None = None  # the column of readable names
    image_column: str | None = None  # the column of image files, relative to the table's folder; empty for none
    columns: tuple[str, ...] = ()  # further columns, such as prices and categories
    layout: Layout = PLAIN  # how the file is written, if it is a text table
    id_matching: IdMatching = "trim"  # which differences between ids are removed


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
    guessed_time_column: str | None = None  # a column with a name of times, which is used if it holds times
    rows: RowSettings = field(default_factory=RowSettings)  # what the other columns mean, and which rows are left out
    items: ItemSource | None = None  # the table of titles and images
    features: Mapping[str, FeatureSource] = field(default_factory=dict)  # feature files by modality
    split: SplitSettings = field(default_factory=SplitSettings)  # how interactions are split
    events: EventSettings = field(default_factory=EventSettings)  # how events become interactions
    name: str | None = None  # the name of the data set in reports; that of the file if left out
    layout: Layout = PLAIN  # how ``interactions`` is written, if it is a text table
    groups: GroupSource | None = None  # the tables of groups, if some users are groups
    logged: LoggedEvents | None = None  # the events of a log that are joined to those of ``interactions``


def read_tables(settings: TableSettings) -> Dataset:
    """Read the data set that the settings describe.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a column is missing, a file is malformed, or the files do not fit one another.
    """
    events, memberships = _events(settings), None
    if settings.groups is not None:
        memberships = read_memberships(settings.groups)
        events = join_events(events, _group_events(settings, settings.groups), memberships, settings.groups.prefix)
    if settings.logged is not None:
        events = join_logged(events, settings.logged, settings.rows)
    path = path_of(settings.interactions)
    return build_dataset(
        settings.name or (Path(path.stem) if path.suffix.lower() == GZIPPED else path).stem,
        events.frame,
        settings=settings.split,
        events=settings.events,
        features={name: read_features(source) for name, source in settings.features.items()},
        metadata=_metadata(settings.items),
        memberships=memberships,
        cleaning_report=events.cleaning_report,
        event_report=events.report,
    )


def read(path: Path) -> Dataset:
    """Read the data set of a single table, whose columns are recognized by their names, in upper or lower case.

    The first of USER_NAMES that the table has is the column of users, the first of ITEM_NAMES that of items, and the
    first of SPLIT_NAMES that of splits; ``id`` is the last name that is tried for items. The first of TIME_NAMES is the
    column of times, unless it holds something else, which is reported. ``weight`` is a column of weights only in tables
    of the form that ``flatrec data split`` writes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no column has a name of users or items, or the file is malformed.
    """
    return read_tables(guess_settings(path))


def read_logged(path: Path, split: SplitSettings, logged: LoggedEvents) -> Dataset:
    """Read the data set of a single table with the events of a log.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as in :func:`read`, or the table has no times.
    """
    return read_tables(replace(guess_settings(path), split=split, logged=logged))


def guess_settings(interactions: Path | Table) -> TableSettings:
    """Return settings of a single table, whose columns are recognized by their names; see :func:`read`."""
    names = scan(interactions, wanted=(USER_NAMES, ITEM_NAMES)).columns
    columns = {column.lower(): column for column in reversed(names)}
    split, time = (
        next((columns[name] for name in known if name in columns), None) for known in (SPLIT_NAMES, TIME_NAMES)
    )
    rows = RowSettings(weight_column="weight" if tuple(names) in WEIGHTED else None)
    return TableSettings(interactions, split_column=split, guessed_time_column=time, rows=rows)


def _events(settings: TableSettings) -> Events:
    path = path_of(settings.interactions)
    further = {"split": settings.split_column, GUESSED_TIME: settings.guessed_time_column, **settings.rows.columns}
    named = {name: column for name, column in further.items() if column is not None}
    wanted = [
        (column,) if column else names
        for column, names in ((settings.user_column, USER_NAMES), (settings.item_column, ITEM_NAMES))
    ]
    table = scan(settings.interactions, settings.layout, [*wanted, *((column,) for column in named.values())])
    columns = {
        "user": settings.user_column or guess_column(table.columns, USER_NAMES, path, "user"),
        "item": settings.item_column or guess_column(table.columns, ITEM_NAMES, path, "item"),
    }
    rows = table.select({**columns, **named})
    events = read_events(rows, settings.rows)
    return _with_guessed_times(rows, events) if GUESSED_TIME in rows else events


def _group_events(settings: TableSettings, source: GroupSource) -> Events:
    """Read what groups did, as what persons did is read."""
    return _events(
        replace(
            settings,
            interactions=source.interactions,
            user_column=source.interaction_column,
            layout=source.layout,
        )
    )


def _with_guessed_times(rows: TableRows, events: Events) -> Events:
    """Return the events with their times, or with a report that the guessed column holds something else."""
    try:
        times = as_timestamps(rows, GUESSED_TIME).alias("timestamp")
    except ValueError as error:
        name = rows[GUESSED_TIME].name
        reason = str(error).removeprefix(f"{rows.path} has column {clipped(name)!r} ").removeprefix("with ")
        report = replace(
            events.cleaning_report, unused_time_column=name, unused_time_reason=reason.partition("; expected")[0]
        )
        return events._replace(cleaning_report=report)
    return events._replace(frame=events.frame.with_columns(times))


def _metadata(source: ItemSource | None) -> ItemMetadata:
    if source is None:
        return ItemMetadata()
    path = path_of(source.file)
    columns = {"title": source.title_column, "image": source.image_column}
    named = {name: column for name, column in columns.items() if column}
    check_names(source.columns, str(path))
    wanted = [(source.id_column,) if source.id_column else ITEM_NAMES, *((name,) for name in named.values())]
    table = scan(source.file, source.layout, [*wanted, *((name,) for name in source.columns)])
    id_column = source.id_column or guess_column(table.columns, ITEM_NAMES, path, "item")
    rows = table.select({"id": id_column, **named, **{name: name for name in source.columns}})
    ids = rows.ids("id", matching=source.id_matching)
    texts = {name: to_dict(ids.ids, rows.texts(name), path) for name in named}
    missing = is_missing(ids.ids)
    return ItemMetadata(
        texts.get("title", {}),
        existing_images(texts.get("image", {}), path),
        ids=tuple(ids.ids.filter(~missing).to_list()),
        columns=typed_columns(rows, source.columns).filter(~missing) if source.columns else None,
        cleaning_report=rows.cleaning_report(ids, without_id=int(missing.sum())),
        source=str(path),
    )


def matches(path: Path) -> bool:
    """Return True for a ``.csv``, ``.tsv`` or ``.parquet`` table and for a folder of Parquet parts."""
    return is_parquet(path) or (path.is_file() and ending(path) in TABLE_SUFFIXES)


FORMAT = DataFormat("table", "a .csv, .tsv or .parquet table", matches, read, order=90, read_logged=read_logged)
