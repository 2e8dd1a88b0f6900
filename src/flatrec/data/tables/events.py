"""The rows of a table of events: which of them are left out, and what the others say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import polars as pl

from flatrec.data.cleaning import EventReport, TableCleaningReport
from flatrec.data.id_repair import IdMatching
from flatrec.data.tables.columns import is_missing
from flatrec.data.tables.files import TableRows
from flatrec.data.tables.numbers import as_numbers, as_weights
from flatrec.data.tables.refusal import refuse
from flatrec.data.tables.splits import as_splits
from flatrec.data.tables.times import as_timestamps

LARGEST = 1e12  # weights and quantities lie between this and one over it, so that float32 holds what they become
MissingIds = Literal["error", "drop"]


@dataclass(frozen=True)
class RowSettings:
    """What the rows of a table of interactions mean, besides a user and an item.

    Args:
        time_column: the column of times.
        event_column: the column that names what happened, such as ``view`` or ``purchase``.
        event_weights: the weight of each event; rows with another event are left out and counted.
        purchase_events: the events that a return cancels; by default those of the largest weight.
        return_events: the events that are returns.
        quantity_column: the column of quantities of purchases and returns; a negative one is a return of that much.
        rating_column: the column of ratings, which are compared with ``min_rating`` and are no weights.
        min_rating: the smallest rating that counts; rows below are left out and counted.
        weight_column: the column of weights, which are multiplied by those of the events.
        missing_ids: whether a row without a user or item id is refused, or left out and counted.
        id_matching: which differences between ids are removed; see :func:`flatrec.data.id_repair.repair_ids`.

    Raises:
        ValueError: a weight is not positive, or a setting is given without the one that it needs.
    """

    time_column: str | None = None
    event_column: str | None = None
    event_weights: Mapping[str, float] = field(default_factory=dict)
    purchase_events: tuple[str, ...] = ()
    return_events: tuple[str, ...] = ()
    quantity_column: str | None = None
    rating_column: str | None = None
    min_rating: float | None = None
    weight_column: str | None = None
    missing_ids: MissingIds = "error"
    id_matching: IdMatching = "trim"

    def __post_init__(self) -> None:
        if bool(self.event_column) != bool(self.event_weights):
            raise ValueError("event_column and a table [events] of weights, such as purchase = 1.0, need each other")
        if (self.rating_column is None) != (self.min_rating is None):
            raise ValueError("rating_column and min_rating need each other; for ratings as weights set weight_column")
        bad = next((name for name, weight in self.event_weights.items() if not 1 / LARGEST <= weight <= LARGEST), None)
        if bad is not None:
            raise ValueError(
                f"[events] {bad} must have a weight of 1e-12 to 1e12, but has {self.event_weights[bad]}; leave an "
                "event out to ignore it, or name it in return_events"
            )
        if self.return_events and not self.event_column:
            raise ValueError("return_events needs event_column, the column that names the events")
        if both := sorted(set(self.return_events).intersection(self.event_weights)):
            raise ValueError(f"{both[0]!r} is in [events] and in return_events; keep it in one of them")
        if unnamed := sorted(set(self.purchase_events).difference(self.event_weights)):
            raise ValueError(
                f"purchase_events has {unnamed[0]!r}, which [events] does not name; give it a weight there"
            )

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the file, by what they mean."""
        named = {
            "timestamp": self.time_column,
            "event": self.event_column,
            "quantity": self.quantity_column,
            "rating": self.rating_column,
            "weight": self.weight_column,
        }
        return {name: column for name, column in named.items() if column is not None}

    @property
    def purchases(self) -> list[str]:
        """The events that a return cancels."""
        largest = max(self.event_weights.values(), default=0.0)
        return list(self.purchase_events) or [name for name, weight in self.event_weights.items() if weight == largest]


class Events(NamedTuple):
    """Events by user and item id, and what was left out."""

    frame: pl.DataFrame  # as :func:`flatrec.data.builder.build_dataset` takes it
    report: EventReport  # the rows that were left out
    cleaning_report: TableCleaningReport  # what was changed in the file


def read_events(rows: TableRows, settings: RowSettings) -> Events:
    """Read the columns ``user`` and ``item``, ``split`` if there is one, and those that the settings name.

    Raises:
        ValueError: an id, a time, a weight or a quantity is missing or malformed, or no row is left.
    """
    required = settings.missing_ids == "error"
    users, items = (
        rows.ids(name, f"interactions without {name} id" if required else None, settings.id_matching)
        for name in ("user", "item")
    )
    frame = pl.DataFrame([users.ids.alias("user"), items.ids.alias("item")])
    left = _Left(rows, frame, EventReport(rows=len(frame)))
    if not required:
        left = left.keep(pl.Series(~(is_missing(users.ids) | is_missing(items.ids))), "without_id")
    if "event" in rows:
        left = _keep_named(left, settings)
    if "rating" in rows:
        ratings = as_numbers(left.rows, "rating")
        refuse(left.rows, "rating", ratings.is_null(), what="are no ratings", advice="give every row a rating")
        left = left.keep(ratings >= settings.min_rating, "low_ratings")
    if left.frame.is_empty():
        reasons = "; ".join(left.report.sentences())
        raise ValueError(f"{rows.path} has no row left of {left.report.rows}: {reasons}; check columns and settings")
    return Events(left.columns(settings), left.report, rows.cleaning_report(users, items))


class _Left(NamedTuple):
    """The rows that are left, and the counts of the others."""

    rows: TableRows  # the columns of the file
    frame: pl.DataFrame  # ids, and the name of the event where there is one
    report: EventReport

    def keep(self, mask: pl.Series, counted: str) -> _Left:
        """Keep the rows for which the mask is True, and count the others."""
        if mask.all():
            return self
        report: EventReport = replace(self.report, **{counted: int((~mask).sum())})  # type: ignore[arg-type]
        return _Left(self.rows.take(mask.to_numpy()), self.frame.filter(mask), report)

    def columns(self, settings: RowSettings) -> pl.DataFrame:
        """Return the ids, and what the other columns say."""
        rows, frame = self.rows, self.frame
        quantities = _quantities(rows, frame, settings)
        columns = [*quantities, *_weights(rows, frame, settings, quantities)]
        if "timestamp" in rows:
            columns.append(as_timestamps(rows, "timestamp").alias("timestamp"))
        if "split" in rows:
            columns.append(as_splits(rows, "split").alias("split"))
        return frame.drop("event", strict=False).with_columns(columns)


def _keep_named(left: _Left, settings: RowSettings) -> _Left:
    """Leave out the rows with an event that has no weight and is no return."""
    names = left.rows.texts("event").str.strip_chars().fill_null("").alias("event")
    named = names.is_in([*settings.event_weights, *settings.return_events])
    unnamed = names.filter(~named).value_counts().sort("count", "event", descending=[True, False])
    report = left.report
    if len(unnamed):
        first = left.rows.position(named.to_list().index(False))
        names_left_out = tuple(unnamed["event"].head(10).to_list())
        report = replace(report, unnamed_event_names=names_left_out, first_unnamed_event=first)
    return left._replace(frame=left.frame.with_columns(names), report=report).keep(named, "unnamed_events")


def _weights(
    rows: TableRows, frame: pl.DataFrame, settings: RowSettings, quantities: Sequence[pl.Series]
) -> list[pl.Series]:
    """Return the weight of each row, if there are weights: those of its event and of its own cell, multiplied.

    The weight of a return, which is not used, may be missing, 0 or negative in the file; it is 1.
    """
    weights = []
    if "weight" in rows:
        unused = quantities[0] < 0 if quantities else None
        weights.append(_within_range(rows, "weight", as_weights(rows, "weight", unused=unused)))
    if "event" in rows:
        by_event = {**settings.event_weights, **dict.fromkeys(settings.return_events, 1.0)}
        weights.append(frame["event"].replace_strict(by_event, return_dtype=pl.Float64))
    return [(weights[0] * weights[1] if len(weights) > 1 else weights[0]).alias("weight")] if weights else []


def _quantities(rows: TableRows, frame: pl.DataFrame, settings: RowSettings) -> list[pl.Series]:
    """Return the quantity of each row, below 0 for returns, and whether a return may cancel the row.

    The quantity of an event that is neither a purchase nor a return is 1, and 0, by which it is left out, if the file
    has a negative one.
    """
    if "quantity" not in rows and not settings.return_events:
        return []
    quantities = pl.Series([1.0]).new_from_index(0, len(frame))
    if "quantity" in rows:
        quantities = _within_range(rows, "quantity", as_numbers(rows, "quantity"))
    if "event" not in rows:
        _check_quantities(rows, quantities.is_null())
        return [quantities.alias("quantity")]
    returns = frame["event"].is_in(list(settings.return_events))
    purchases = frame["event"].is_in(settings.purchases)
    if "quantity" in rows:
        _check_quantities(rows, quantities.is_null() & (returns | purchases))
    table = pl.DataFrame({"quantity": quantities, "return": returns, "purchase": purchases})
    quantity = pl.col("quantity")
    other = pl.when(quantity < 0).then(0.0).otherwise(1.0)
    signed = pl.when("return").then(-quantity.abs()).when("purchase").then(quantity).otherwise(other)
    return [table.select(signed.alias("quantity"))["quantity"], purchases.alias("returnable")]


def _within_range(rows: TableRows, name: str, numbers: pl.Series) -> pl.Series:
    """Return the numbers, unless one is so large or small that float32 does not hold what is computed from it."""
    sizes = numbers.abs()
    outside = ((sizes > LARGEST) | ((sizes > 0) & (sizes < 1 / LARGEST))).fill_null(False)
    refuse(rows, name, outside, what="are not of 1e-12 to 1e12", advice="use another unit")
    return numbers


def _check_quantities(rows: TableRows, missing: pl.Series) -> None:
    refuse(rows, "quantity", missing, what="are no quantities", advice="give every purchase and return one")
