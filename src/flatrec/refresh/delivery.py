"""What a delivery of the data holds, in the figures that tell a broken one from a normal one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import xxhash
from jaxtyping import UInt64
from numpy import ndarray

from flatrec.data.dataset import Dataset
from flatrec.refresh.newest_days import newest, unknown_items
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.integrity import digest, file_digest

IDS = "ids.parquet"


@dataclass(frozen=True)
class Delivery:
    """The figures of a delivery.

    Args:
        name: the name of the data set.
        fingerprint: the digest of interactions, ids, features, titles and item columns.
        interactions: number of interactions, repeated events summed.
        users: number of users.
        items: number of items.
        newest: time of the newest interaction, in Unix seconds.
        columns: what is known of items: the type of each column and the width of each feature, by name.
        unknown_items: fraction of the items with an interaction in the newest days that have none before.
    """

    name: str
    fingerprint: str
    interactions: int
    users: int
    items: int
    newest: int
    columns: Mapping[str, str]
    unknown_items: float

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by name."""
        return asdict(self)


def describe(dataset: Dataset, split: Dataset) -> Delivery:
    """Return the figures of a delivery.

    Args:
        dataset: the delivery, all of its interactions in one split, which the fingerprint belongs to.
        split: the same, its newest days in the test split.
    """
    return Delivery(
        name=dataset.name,
        fingerprint=fingerprint_of(dataset),
        interactions=len(dataset.interactions),
        users=dataset.n_users,
        items=dataset.n_items,
        newest=newest(dataset.interactions),
        columns=_columns(dataset),
        unknown_items=unknown_items(split.interactions),
    )


def fingerprint_of(dataset: Dataset) -> str:
    """Return the digest of all that a recommender takes over from a data set, such as which items are in stock."""
    return digest(dataset.fingerprint, dataset.items_frame().write_ipc(None).getvalue())


def _columns(dataset: Dataset) -> dict[str, str]:
    present = {"titles": dataset.titles is not None, "images": dataset.images is not None}
    columns = {name: "known" for name, known in present.items() if known}
    if dataset.item_columns is not None:
        columns |= {f"column {name}": str(kind) for name, kind in dataset.item_columns.schema.items()}
    return columns | {f"feature {name}": f"width {one.width}" for name, one in dataset.features.items()}


@dataclass(frozen=True, eq=False)
class Ids:
    """The users and the items of a delivery: a number for each id, from which the id cannot be read.

    Args:
        users: one number per user, in increasing order.
        items: the same for items.
    """

    users: UInt64[ndarray, "n_users"]
    items: UInt64[ndarray, "n_items"]

    @classmethod
    def of(cls, users: Iterable[str], items: Iterable[str]) -> Ids:
        """Return the numbers of ids."""
        return cls(_numbers(users), _numbers(items))


def n_common(ids: UInt64[ndarray, "n"], others: UInt64[ndarray, "m"]) -> int:
    """Return how many ids are in both."""
    return len(np.intersect1d(ids, others, assume_unique=True))


def write_ids(path: Path, ids: Ids) -> str:
    """Write ids to a file, which appears whole or not at all, and return its digest.

    Raises:
        OSError: the file cannot be written.
    """
    of_user = np.repeat([True, False], [len(ids.users), len(ids.items)])
    with atomic_write(path) as temporary:
        pl.DataFrame({"of_user": of_user, "id": np.concatenate([ids.users, ids.items])}).write_parquet(temporary)
    return file_digest(path)


def read_ids(path: Path, expected: str) -> Ids:
    """Return the ids that :func:`write_ids` wrote.

    Args:
        path: the file.
        expected: the digest that it returned.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged.
    """
    if file_digest(path) != expected:
        raise ValueError(
            f"{path} is damaged or was changed, so that the new delivery cannot be compared with it; put the file back "
            "as it was, or remove its generation"
        )
    table = pl.read_parquet(path)
    return Ids(*(table.filter(pl.col("of_user") == kind)["id"].to_numpy() for kind in (True, False)))


def _numbers(ids: Iterable[str]) -> UInt64[ndarray, "n"]:
    numbers = (xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass")) for name in ids)
    unique: ndarray = np.unique(np.fromiter(numbers, dtype=np.uint64))
    return unique
