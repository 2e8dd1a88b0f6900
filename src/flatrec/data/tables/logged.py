"""Events of a log that are joined to those of a table, such as the clicks since the table was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from flatrec.data.cleaning import EventReport
from flatrec.data.id_repair import repair_ids
from flatrec.data.tables.columns import is_missing
from flatrec.data.tables.events import Events, RowSettings

_DAY = 86_400  # seconds
_SAME = ("user", "item", "timestamp")  # rows that are equal in these are one event


@dataclass(frozen=True, eq=False)
class LoggedEvents:
    """The events of a log, and what they weigh.

    Args:
        frame: the columns ``user``, ``item``, ``event`` (texts) and ``time`` (whole Unix seconds).
        weights: the weight of each event, above 0; others are left out and counted. If it is empty, weights are those
            of the table's own events, and all are 1 if it has none.
    """

    frame: pl.DataFrame
    weights: Mapping[str, float] = field(default_factory=dict)


def join_logged(events: Events, logged: LoggedEvents, settings: RowSettings) -> Events:
    """Return the events of a table and those of a log that are not among them: of another user, item or time.

    Where all times of the table are dates without a time of day, those of the log are compared by their dates as well.

    Raises:
        ValueError: the table has no times, so that nobody knows which events it has already.
    """
    file = events.cleaning_report.file
    if "timestamp" not in events.frame.columns:
        raise ValueError(
            f"events of a log are told from those of {file} by their times, but it has none; name the column with "
            "time_column in its dataset.toml"
        )
    named, report = _named(logged, settings)
    frame = _as_rows(named, logged, events.frame, settings)
    times = events.frame["timestamp"]
    unit = _DAY if len(times) and bool((times % _DAY == 0).all()) else 1
    key = [pl.col("user"), pl.col("item"), pl.col("timestamp") // unit]
    before = events.frame.select(key)
    fresh = frame.join(before, left_on=key, right_on=_SAME, how="anti", maintain_order="left")
    if "weight" in fresh.columns and "weight" not in events.frame.columns:
        events = events._replace(frame=events.frame.with_columns(weight=pl.lit(1.0)))
    report = replace(report, rows=report.rows + len(fresh), logged=len(fresh), logged_before=len(frame) - len(fresh))
    return events._replace(
        frame=pl.concat([events.frame, fresh.select(events.frame.columns)]),
        report=EventReport.total([events.report, report]),
    )


def _named(logged: LoggedEvents, settings: RowSettings) -> tuple[pl.DataFrame, EventReport]:
    """Return the events that have a weight or are returns, with repaired ids, and the counts of the others."""
    frame = logged.frame.with_columns(repair_ids(logged.frame[name], settings.id_matching).ids for name in _SAME[:2])
    with_ids = frame.filter(~pl.Series(is_missing(frame["user"]) | is_missing(frame["item"])))
    report = EventReport(without_id=len(frame) - len(with_ids))
    names = logged.weights or settings.event_weights
    if not names:
        return with_ids, replace(report, rows=report.without_id)
    known = pl.col("event").str.strip_chars().is_in([*names, *settings.return_events])
    unnamed = with_ids.filter(~known)["event"].value_counts().sort("count", "event", descending=[True, False])
    n_unnamed = int(unnamed["count"].sum())
    report = replace(
        report,
        rows=report.without_id + n_unnamed,
        unnamed_events=n_unnamed,
        unnamed_event_names=tuple(unnamed["event"].head(10).to_list()),
    )
    return with_ids.filter(known), report


def _as_rows(named: pl.DataFrame, logged: LoggedEvents, table: pl.DataFrame, settings: RowSettings) -> pl.DataFrame:
    """Return events with the columns of a table; a weight also where the table has none, unless all are 1."""
    event, returns = pl.col("event").str.strip_chars(), set(settings.return_events).difference(logged.weights)
    weights = {**dict.fromkeys(returns, 1.0), **(logged.weights or settings.event_weights)}
    weight = event.replace_strict(weights, return_dtype=pl.Float64) if weights else pl.lit(1.0)
    returned = event.is_in(list(returns))
    columns = {
        "user": pl.col("user"),
        "item": pl.col("item"),
        "quantity": pl.when(returned).then(-1.0).otherwise(1.0),
        "returnable": event.is_in(settings.purchases),
        "weight": weight,
        "timestamp": pl.col("time"),
        "split": pl.lit(0),
    }
    weighs = any(value != 1.0 for value in weights.values())
    chosen = [name for name in columns if name in table.columns or (name == "weight" and weighs)]
    frame = named.select(columns[name].alias(name) for name in chosen)
    return frame.cast({name: table.schema[name] for name in chosen if name in table.columns})
