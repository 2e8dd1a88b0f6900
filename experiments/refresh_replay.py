"""The nightly job on a shop that grows: its dated events are delivered in eight slices of time.

    python experiments/refresh_replay.py --out runs/replay
    python experiments/refresh_replay.py --weekly --out runs/replay-weekly
    python experiments/refresh_replay.py --data ML_SMALL --out runs/replay-ml-small

Delivery n holds all events of the first n slices. The slices are equally long, a quarter of a year of the built-in
shop; with ``--weekly``, the first delivery holds all but the last seven weeks, and each of the others one week more.
Delivery 5 is broken: every second row is missing. For each delivery: new users, what became of it, the seconds of the
processor that the whole job took with and without a warm start, and Recall@10 of the recommender that is in use
afterward on the next slice, which nobody has seen, beside that of the most popular items. With ``--data``, the users
of an MMRec folder arrive in the order of the file, and each spreads the interactions over a tenth of the whole time:
a demonstration, not a shop.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import polars as pl

import flatrec
from flatrec.config import SplitSettings
from flatrec.data.shop import ShopSettings, generate
from flatrec.data.shop.writing import event_table
from flatrec.evaluation.significance import spread
from flatrec.inference.evaluation import evaluate_recommender
from flatrec.refresh import RefusedError, read_settings, refresh
from flatrec.utils.moments import as_date_time

SLICES, BROKEN, DAY = 8, 5, 86_400
DATASET = """
name = "replay"
interactions = "events.parquet"
user_column = "user"
item_column = "item"
time_column = "time"
"""
SETTINGS = """
data = "data/dataset.toml"
folder = "store"
warm_start = {warm}

[train]
seed = {seed}
device = "cpu"

[train.model]
name = "lightgcn"

[train.strategy]
name = "plain"

[train.optimizer]
name = "adam"
lr = 0.005

[train.training]
epochs = 200
patience = 10
monitor = "recall@10"
loggers = []

[train.evaluation]
ks = [10]
metrics = ["recall", "ndcg"]

[check]  # a slice is a quarter of a year, not a night
interactions = [-0.1, 3.0]
users = [-0.1, 3.0]
items = [-0.1, 3.0]

[compare]
days = 30
valid_days = 30
margin = 0.05
"""


@dataclass(frozen=True)
class Row:
    """What became of a delivery."""

    users: int
    new_users: int
    outcome: str
    seconds: float  # of the processor, for the whole job
    recall: float | None  # on the next slice, of the recommender that is in use then
    popular: float | None  # the same of the most popular items


def shop_events() -> pl.DataFrame:
    """Return the purchases of the built-in shop."""
    table = event_table(generate(ShopSettings(images=False)))
    return table.filter(pl.col("event") == "purchase").select("user", "item", time=pl.col("timestamp").dt.epoch("s"))


def arriving_users(folder: Path) -> pl.DataFrame:
    """Return the interactions of an MMRec folder with times by the order of its users."""
    dataset = flatrec.load_data(folder, SplitSettings(method="none"))
    interactions = dataset.interactions
    order = np.lexsort((interactions.items, np.zeros(len(interactions)), interactions.users))
    users, items = interactions.users[order], interactions.items[order]
    drawn = np.random.default_rng(0).random(len(users))
    days = 730 * (0.9 * users / dataset.n_users + 0.1 * drawn)
    times = 1_672_531_200 + (days * DAY).astype(np.int64)
    ids = {"user": [f"u{user}" for user in users.tolist()], "item": [f"i{item}" for item in items.tolist()]}
    return pl.DataFrame({**ids, "time": times})


def ends_of_slices(events: pl.DataFrame, *, weekly: bool) -> list[int]:
    """Return when each slice ends, in Unix seconds."""
    first, last = int(events["time"].min()), int(events["time"].max()) + 1
    if weekly:
        return [last - 7 * DAY * weeks for weeks in reversed(range(SLICES))]
    return [first + (last - first) * number // SLICES for number in range(1, SLICES + 1)]


def replay(events: pl.DataFrame, ends: Sequence[int], folder: Path, *, warm: bool, seed: int) -> list[Row]:
    """Deliver slice after slice, and return what became of each."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "dataset.toml").write_text(DATASET)
    (folder / "shop.toml").write_text(SETTINGS.format(warm=str(warm).lower(), seed=seed))
    rows, known = [], 0
    for number, end in enumerate(ends, start=1):
        delivery = events.filter(pl.col("time") < end)
        users = delivery["user"].n_unique()
        (delivery[::2] if number == BROKEN else delivery).write_parquet(folder / "data" / "events.parquet")
        began = time.process_time()
        outcome = deliver(folder)
        seconds = time.process_time() - began
        recalls = (None, None) if number == SLICES else recalls_after(events, folder, end, ends[number])
        rows.append(Row(users, users - known, outcome, seconds, *recalls))
        known = users
        sys.stderr.write(f"seed {seed}, warm {warm}, slice {number}: {rows[-1]}\n")
    return rows


def deliver(folder: Path) -> str:
    """Run the nightly job once, and return what became of the delivery."""
    try:
        return str(refresh(read_settings(folder / "shop.toml")).outcome)
    except RefusedError:
        return "refused"


def recalls_after(events: pl.DataFrame, folder: Path, start: int, end: int) -> tuple[float, float]:
    """Return Recall@10 on the slice that comes next: of the recommender in use, and of the most popular items."""
    table = events.filter(pl.col("time") < end)
    columns = flatrec.TableSettings(rows=flatrec.RowSettings(time_column="time"))
    moment = as_date_time(start)
    split = SplitSettings(method="time", ratios=(8, 0, 2), valid_from=moment, test_from=moment)
    dataset = flatrec.Dataset.from_frames(table, columns=columns, split=split)
    in_use = flatrec.load_recommender(folder / "store" / "current")
    popular = flatrec.fit(dataset, "popularity").recommender
    found = [evaluate_recommender(one, dataset, "test", ks=(10,), metrics=("recall",)) for one in (in_use, popular)]
    return found[0].metrics["recall@10"], found[1].metrics["recall@10"]


def table(warm: Sequence[Sequence[Row]], cold: Sequence[Sequence[Row]]) -> str:
    """Return the rows of all seeds as Markdown."""
    columns = ["delivery", "users", "new users", "outcome, warm", "outcome, cold", "seconds, warm", "seconds, cold"]
    columns += ["Recall@10 on the next slice, warm", "Recall@10, cold", "Recall@10, most popular items"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for number in range(SLICES):
        pair = [[rows[number] for rows in runs] for runs in (warm, cold)]
        cells = [str(number + 1), str(pair[0][0].users), str(pair[0][0].new_users)]
        cells += [outcomes(rows) for rows in pair]
        cells += [f"{fmean(row.seconds for row in rows):.1f}" for rows in pair]
        cells += [recalls([row.recall for row in rows]) for rows in pair]
        popular = pair[0][0].popular
        cells.append("" if popular is None else f"{popular:.4f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def outcomes(rows: Sequence[Row]) -> str:
    """Return how often each outcome came."""
    names = [row.outcome for row in rows]
    if len(set(names)) == 1:
        return names[0]
    return ", ".join(f"{name} {names.count(name)}" for name in dict.fromkeys(names))


def recalls(values: Sequence[float | None]) -> str:
    """Return the mean and the deviation over the seeds."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    mean, deviation = spread(known)
    return f"{mean:.4f} ± {deviation:.4f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Replay with and without a warm start, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weekly", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.ERROR)
    events = shop_events() if given.data is None else arriving_users(given.data)
    ends = ends_of_slices(events, weekly=given.weekly)
    runs = {
        warm: [
            replay(events, ends, given.out / f"{'warm' if warm else 'cold'}-{seed}", warm=warm, seed=seed)
            for seed in range(given.seeds)
        ]
        for warm in (True, False)
    }
    sys.stdout.write(table(runs[True], runs[False]))


if __name__ == "__main__":
    main()
