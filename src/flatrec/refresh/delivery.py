"""What a delivery of the data holds, in the figures that tell a broken one from a normal one."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from flatrec.data.dataset import Dataset
from flatrec.data.vocabulary import Vocabulary
from flatrec.refresh.newest_days import newest, unknown_items
from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.integrity import file_digest

IDS = "ids.parquet"


@dataclass(frozen=True)
class Delivery:
    """The figures of a delivery.

    Args:
        name: the name of the data set.
        fingerprint: the digest of interactions, ids and features.
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
        fingerprint=dataset.fingerprint,
        interactions=len(dataset.interactions),
        users=dataset.n_users,
        items=dataset.n_items,
        newest=newest(dataset.interactions),
        columns=_columns(dataset),
        unknown_items=unknown_items(split.interactions),
    )


def _columns(dataset: Dataset) -> dict[str, str]:
    present = {"titles": dataset.titles is not None, "images": dataset.images is not None}
    columns = {name: "known" for name, known in present.items() if known}
    if dataset.item_columns is not None:
        columns |= {f"column {name}": str(kind) for name, kind in dataset.item_columns.schema.items()}
    return columns | {f"feature {name}": f"width {one.width}" for name, one in dataset.features.items()}


@dataclass(frozen=True, eq=False)
class Ids:
    """The users and the items of a delivery."""

    users: frozenset[str]
    items: frozenset[str]

    @classmethod
    def of(cls, dataset: Dataset) -> Ids:
        """Return the ids of a data set."""
        return cls(frozenset(dataset.users), frozenset(dataset.items))


def write_ids(path: Path, users: Vocabulary, items: Vocabulary) -> str:
    """Write ids to a file, which appears whole or not at all, and return its digest.

    Raises:
        OSError: the file cannot be written.
    """
    kinds = pl.Series("kind", ["user"] * len(users) + ["item"] * len(items), dtype=pl.Categorical)
    with atomic_write(path) as temporary:
        pl.DataFrame({"kind": kinds, "id": [*users, *items]}).write_parquet(temporary)
    return file_digest(path)


def read_ids(path: Path, digest: str) -> Ids:
    """Return the ids that :func:`write_ids` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged.
    """
    content = path.read_bytes()
    if file_digest(path) != digest:
        raise ValueError(f"{path} is damaged or was changed; accept the new delivery as it is with --accept")
    table = pl.read_parquet(io.BytesIO(content))
    kind = table["kind"].cast(pl.String)
    users, items = (table.filter(kind == name)["id"].to_list() for name in ("user", "item"))
    return Ids(frozenset(users), frozenset(items))
