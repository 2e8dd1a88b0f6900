"""Whose rows the parameters of a run have, as the folder of its recommender tells without the training data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from safetensors import safe_open

from flatrec.data.dataset import Dataset
from flatrec.inference.storage import ADVICE, FACTS, ITEMS, TENSORS, USERS, recommender_folder
from flatrec.utils.integrity import check_listed, read_sealed


@dataclass(frozen=True, eq=False)
class RowsById:
    """The row of each id in the tables of a run.

    Args:
        rows: the row of each id that is known.
        total: number of rows, including those of forgotten users.
    """

    rows: Mapping[str, int]
    total: int

    @classmethod
    def of(cls, ids: Sequence[str], forgotten: Collection[int] = ()) -> RowsById:
        """Return the rows of ids in their order, with the rows of forgotten users left out."""
        total = len(ids) + len(forgotten)
        gone = frozenset(forgotten)
        return cls(dict(zip(ids, (row for row in range(total) if row not in gone), strict=True)), total)


@dataclass(frozen=True, eq=False)
class TrainedIds:
    """The users and items that a run was trained on, in the order of their rows.

    Args:
        users: the rows of users.
        items: the rows of items.
        modalities: the names of the modalities of the items.
        run: the digest by which the run is told from others; empty if it is not known.
    """

    users: RowsById
    items: RowsById
    modalities: frozenset[str]
    run: str = ""

    @classmethod
    def of(cls, dataset: Dataset) -> TrainedIds:
        """Return the ids of the data that a run was trained on."""
        return cls(RowsById.of(dataset.users), RowsById.of(dataset.items), frozenset(dataset.features))


def read_trained_ids(path: Path) -> TrainedIds:
    """Read the ids from a recommender's folder, or that of a run with a recommender; its vectors are not read.

    Items that joined the recommender after training have no row, and are left out.

    Raises:
        FileNotFoundError: there is no recommender.
        ValueError: the folder is damaged.
    """
    folder = recommender_folder(path)
    check_listed(folder, (FACTS, USERS, ITEMS, TENSORS), advice=ADVICE)
    facts = read_sealed(folder / FACTS, advice=ADVICE)
    users = pl.read_parquet(folder / USERS, columns=["user"])["user"].to_list()
    items = pl.read_parquet(folder / ITEMS, columns=["item"])["item"].to_list()
    with safe_open(folder / TENSORS, framework="pt", device="cpu") as file:
        joined = file.get_tensor("new").tolist()
    return TrainedIds(
        users=RowsById.of(users, facts["facts"].get("forgotten", ())),
        items=RowsById.of([item for item, new in zip(items, joined, strict=True) if not new]),
        modalities=frozenset(facts["features"]),
        run=facts["facts"]["run"],
    )
