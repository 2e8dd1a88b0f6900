"""Deliveries of a tiny shop, on disk, and the settings of a nightly job on them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import numpy as np
import polars as pl

from flatrec.refresh import read_settings, refresh

DAY = 86_400
START = 1_704_067_200  # 2024-01-01
NOW = START + 40 * DAY
BLOCKS, USERS, ITEMS = 3, 8, 6

SETTINGS = """
data = "data/dataset.toml"
folder = "store"
warm_start = false

[train.model]
name = "bpr"
embedding_dim = 4

[train.strategy]
name = "plain"

[train.training]
epochs = 2
batch_size = 64
monitor = "ndcg@5"
loggers = []

[compare]
days = 5
metric = "recall@5"
margin = 0.9
"""
KNN = SETTINGS.replace('name = "bpr"\nembedding_dim = 4', 'name = "item-knn"')  # is trained at once


def events(days: int = 30, *, users: int = USERS, seed: int = 0) -> pl.DataFrame:
    """Purchases of a number of days: each user buys items of the own block, one on every third day or so."""
    drawn = np.random.default_rng(seed)
    rows = []
    for day in range(days):
        for user in range(BLOCKS * users):
            if drawn.random() < 0.4:
                item = user // users * ITEMS + int(drawn.integers(ITEMS))
                moment = datetime.fromtimestamp(START + day * DAY + user, tz=UTC)
                rows.append((f"u{user}", f"i{item}", moment.replace(tzinfo=None).isoformat()))
    return pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")


def deliver(folder, table: pl.DataFrame, *, columns=("price",)) -> None:
    """Write a delivery in the place of an earlier one."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    table.write_csv(data / "events.csv")
    items = pl.DataFrame({"item": [f"i{number}" for number in range(BLOCKS * ITEMS)]})
    items = items.with_columns(*(pl.Series(name, np.arange(len(items)) * 1.5) for name in columns))
    items.write_csv(data / "items.csv")
    named = ", ".join(f'"{name}"' for name in columns)
    (data / "dataset.toml").write_text(
        'name = "tiny"\ninteractions = "events.csv"\nuser_column = "user"\nitem_column = "item"\n'
        f'time_column = "time"\nrepeat = true\n\n[items]\nfile = "items.csv"\nid_column = "item"\ncolumns = [{named}]\n'
    )


def settings_of(folder, more: str = "", *, text: str = SETTINGS):
    """Write the file of the job and read it."""
    path = folder / "shop.toml"
    path.write_text(text + more)
    return read_settings(path)


class Killed(BaseException):
    """Like a kill: nothing catches it."""


def run(shop, **options):
    """Refresh a shop by a model that is trained at once."""
    return refresh(settings_of(shop, text=KNN), now=NOW, **options)


def history(shop):
    """The lines of the history."""
    path = shop / "store" / "history.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def current(shop):
    """Where the pointer leads."""
    return os.readlink(shop / "store" / "current")
