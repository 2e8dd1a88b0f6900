"""The files of a data set's augmentation, which lie beside its other files and name users and items by id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
from jaxtyping import Int64
from numpy import ndarray

from flatrec.data.augmentation import NOBODY, Augmentation
from flatrec.data.builder import IndexedFeatures
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features, align, as_float32
from flatrec.data.tables.feature_files import FeatureSource, read_features
from flatrec.data.tables.files import scan, visible
from flatrec.data.vocabulary import Vocabulary

PREFIX = "augmented-"
PROFILES, ATTRIBUTE, SUGGESTIONS = f"{PREFIX}profiles.parquet", f"{PREFIX}attribute-", f"{PREFIX}suggestions.parquet"
SHOWN = f"{PREFIX}shown.parquet"
PAIR = ("liked", "disliked")
TEXT = "text"  # column of the words that a vector was made of, for people to read


def read_augmentation(dataset: Dataset, folder: Path) -> Augmentation | None:
    """Return what the files of a folder say of the users and items of a data set; None if there are none.

    ``augmented-profiles.parquet`` has a column ``user`` of ids and one of lists, ``augmented-attribute-NAME.parquet`` a
    column ``item`` and one of lists, and ``augmented-suggestions.parquet`` the columns ``user``, ``liked`` and
    ``disliked``, all of ids. A user or item without a row has no vector; a column ``text`` is not read. A pair of which
    one item is unknown or left empty is none. ``augmented-shown.parquet``, with the columns ``user`` and ``item``, has
    the interactions that the language model was shown.

    Raises:
        ValueError: a file is malformed, or no id in it is one of the data set.
    """
    profiles, pairs = folder / PROFILES, folder / SUGGESTIONS
    attributes = visible(folder, f"{ATTRIBUTE}*.parquet")
    if not (profiles.is_file() or pairs.is_file() or attributes):
        return None
    return Augmentation(
        _vectors(profiles, "user", dataset.users) if profiles.is_file() else None,
        {path.name[len(ATTRIBUTE) : -len(".parquet")]: _vectors(path, "item", dataset.items) for path in attributes},
        _suggestions(pairs, dataset) if pairs.is_file() else None,
        _shown(folder / SHOWN, dataset) if (folder / SHOWN).is_file() else None,
    )


def augmentation_writers(dataset: Dataset) -> dict[str, Callable[[IO[bytes]], object]]:
    """Return a writer by name for each file of a data set's augmentation."""
    said = dataset.augmentation
    if said is None:
        return {}
    writers: dict[str, Callable[[IO[bytes]], object]] = {}
    if said.profiles is not None:
        writers[PROFILES] = _table("user", dataset.users, "profile", said.profiles).write_parquet
    for name, features in said.attributes.items():
        writers[f"{ATTRIBUTE}{name}.parquet"] = _table("item", dataset.items, "vector", features).write_parquet
    if said.suggestions is not None:
        users = np.flatnonzero(said.is_suggested)
        chosen = said.suggestions[users]
        columns = {"user": [dataset.users[user] for user in users.tolist()]}
        columns |= {
            name: [dataset.items[item] for item in chosen[:, number].tolist()] for number, name in enumerate(PAIR)
        }
        writers[SUGGESTIONS] = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).write_parquet
    if said.shown is not None and len(said.shown):
        writers[SHOWN] = shown_table(dataset, said.shown).write_parquet
    return writers


def shown_table(dataset: Dataset, shown: Int64[ndarray, "n_shown two"]) -> pl.DataFrame:
    """Return the table of the interactions that a language model was shown, by id."""
    users = [dataset.users[user] for user in shown[:, 0].tolist()]
    items = [dataset.items[item] for item in shown[:, 1].tolist()]
    return pl.DataFrame({"user": users, "item": items}, schema={"user": pl.String, "item": pl.String})


def _vectors(path: Path, id_column: str, ids: Vocabulary) -> Features:
    table = scan(path, wanted=[(id_column,)])
    table = replace(table, columns=[name for name in table.columns if name != TEXT])
    rows: IndexedFeatures = read_features(FeatureSource(table, id_column=id_column))
    return align(list(rows.ids), as_float32(rows.values), list(ids), rows.source)


def _suggestions(path: Path, dataset: Dataset) -> Int64[ndarray, "n_users two"]:
    rows = scan(path, wanted=[("user",), *((name,) for name in PAIR)]).select({name: name for name in ("user", *PAIR)})
    pairs = np.full((dataset.n_users, 2), NOBODY, dtype=np.int64)
    users = rows.ids("user").ids.to_list()
    liked, disliked = (rows.texts(name).to_list() for name in PAIR)
    for user, *pair in zip(users, liked, disliked, strict=True):
        if user in dataset.users and all(item in dataset.items for item in pair):
            pairs[dataset.users.index_of(user)] = [dataset.items.index_of(item) for item in pair]
    return pairs


def _shown(path: Path, dataset: Dataset) -> Int64[ndarray, "n_shown two"]:
    """Return the shown interactions of users and items that the data set has."""
    rows = scan(path, wanted=[("user",), ("item",)]).select({"user": "user", "item": "item"})
    pairs = zip(rows.ids("user").ids.to_list(), rows.ids("item").ids.to_list(), strict=True)
    indices = [
        (dataset.users.index_of(user), dataset.items.index_of(item))
        for user, item in pairs
        if user in dataset.users and item in dataset.items
    ]
    return np.array(indices, dtype=np.int64).reshape(-1, 2)


def _table(id_column: str, ids: Sequence[str], column: str, features: Features) -> pl.DataFrame:
    rows = np.flatnonzero(features.present)
    vectors = pl.Series(column, features.values[rows], dtype=pl.Array(pl.Float32, features.width)).arr.to_list()
    return pl.DataFrame({id_column: [ids[row] for row in rows.tolist()]}).with_columns(vectors)
