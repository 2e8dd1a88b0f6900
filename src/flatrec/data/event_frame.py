"""A table of events by user and item id: checked, and turned into a log of indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from jaxtyping import Int
from numpy import ndarray

from flatrec.data.cleaning import EventReport
from flatrec.data.interactions import SPLITS
from flatrec.data.log import IndexedInteractions, InteractionLog

INTEGER = "^-?[0-9]{1,18}$"
NUMBER_COLUMNS = ("timestamp", "weight", "quantity")


def check_events(name: str, interactions: pl.DataFrame) -> None:
    """Refuse a table that :func:`flatrec.data.builder.build_dataset` cannot take.

    Raises:
        ValueError: it is empty, or a column is missing, is of another type, or has missing values.
    """
    if interactions.is_empty():
        raise ValueError(f"{name} has no interactions; give at least one user-item interaction")
    for column in ("user", "item"):
        if interactions.schema.get(column) != pl.String:
            raise ValueError(f"{name} must have the text columns user and item, but has {interactions.schema}")
        missing = int((interactions[column].is_null() | (interactions[column] == "")).sum())
        if missing:
            raise ValueError(
                f"{name} has {missing} of {len(interactions)} interactions without {column} id; "
                "fill them in or leave them out"
            )
    splits = interactions.get_column("split", default=None)
    if splits is not None and (not splits.dtype.is_integer() or splits.null_count()):
        raise ValueError(
            f"{name} has {splits.null_count()} of {len(interactions)} interactions without a split "
            f"(type {splits.dtype}); "
            "give every interaction 0 (train), 1 (valid) or 2 (test), or leave the column out"
        )
    for column in NUMBER_COLUMNS:
        values = interactions.get_column(column, default=None)
        if values is not None and (not values.dtype.is_numeric() or values.null_count()):
            raise ValueError(
                f"{name} has {values.null_count()} of {len(interactions)} interactions without a {column} "
                f"(type {values.dtype}); give every interaction one, as a number, or leave the column out"
            )


def settle_quantities(
    name: str, interactions: pl.DataFrame, report: EventReport | None, *, weigh: bool
) -> tuple[pl.DataFrame, EventReport]:
    """Leave out rows of quantity 0, count returns, and drop quantities that say nothing.

    Args:
        name: the name of the data set in messages.
        interactions: the table.
        report: the rows that reading left out.
        weigh: whether weights are multiplied by quantities.

    Raises:
        ValueError: all rows are returns.
    """
    report = report or EventReport(rows=len(interactions))
    if "quantity" not in interactions.columns:
        return interactions, report
    quantities = interactions["quantity"]
    report = replace(report, without_quantity=int((quantities == 0).sum()), returns=int((quantities < 0).sum()))
    if not report.returns and not weigh:
        interactions = interactions.drop("quantity", "returnable", strict=False).filter(quantities > 0)
    elif report.without_quantity:
        interactions = interactions.filter(quantities != 0)
    if report.returns == len(interactions):
        raise ValueError(f"{name} has {report.returns} returns and no purchases; check the quantities and events")
    return interactions, report


def index_events(interactions: pl.DataFrame, further_users: Sequence[str] = ()) -> IndexedInteractions:
    """Return the events by index; indices follow the ids: by value if all are whole numbers, else alphabetically.

    Args:
        interactions: the events by id.
        further_users: ids of users that need not have an event.

    Raises:
        ValueError: a split is not 0, 1 or 2.
    """
    users, user_ids = _encode(interactions["user"], further_users)
    items, item_ids = _encode(interactions["item"])
    columns = {name: interactions[name].to_numpy() for name in interactions.columns if name not in ("user", "item")}
    log = InteractionLog(
        users,
        items,
        len(user_ids),
        len(item_ids),
        columns.get("timestamp"),
        columns.get("weight"),
        columns.get("quantity"),
        columns.get("split"),
        columns.get("returnable"),
    )
    check_splits(log)
    return IndexedInteractions(log, user_ids, item_ids)


def check_splits(log: InteractionLog) -> None:
    """Refuse splits of the source that are none.

    Raises:
        ValueError: a split is not 0, 1 or 2.
    """
    splits = log.splits
    if splits is not None and (splits.min() < 0 or splits.max() >= len(SPLITS)):
        raise ValueError(
            f"splits must be 0 (train), 1 (valid) or 2 (test), but range from {splits.min()} to {splits.max()}"
        )


def id_order(ids: pl.Series) -> Int[ndarray, "n_ids"]:
    """Return the order in which distinct ids get indices: by value if all are whole numbers, else alphabetical."""
    if not ids.str.contains(INTEGER).all():
        return ids.arg_sort().to_numpy().astype(np.int64)
    # "7" and "007" are two ids of one value: the text settles their order.
    values = pl.DataFrame({"value": ids.cast(pl.Int64), "id": ids})
    return values.select(pl.arg_sort_by("value", "id")).to_series().to_numpy().astype(np.int64)


def _encode(ids: pl.Series, further: Sequence[str] = ()) -> tuple[Int[ndarray, "n_interactions"], list[str]]:
    distinct = pl.concat([ids, pl.Series(ids.name, further, dtype=ids.dtype)]) if further else ids
    distinct = distinct.unique().rename("id")
    distinct = distinct.gather(id_order(distinct))
    indices = ids.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int64)
    return indices, distinct.to_list()
