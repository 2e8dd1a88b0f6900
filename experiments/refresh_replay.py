"""The nightly job on a shop that grows: its dated events are delivered in eight slices of time.

    python experiments/refresh_replay.py --out runs/replay
    python experiments/refresh_replay.py --data ML_SMALL --out runs/replay-ml-small

Delivery n holds all events of the first n slices. Delivery 5 is broken: every second row is missing. For each delivery:
new users, what became of it, the seconds of training with and without a warm start, and Recall@10 of the recommender
that is in use afterward on the next slice, which nobody has seen. With ``--data``, the users of an MMRec folder arrive in
the order of the file, and each spreads the interactions over a tenth of the whole time: a demonstration, not a shop.
"""

from __future__ import annotations

import argparse
import shutil
import sys
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
from flatrec.refresh import RefusedError, State, read_settings, refresh
from flatrec.refresh.evaluation import evaluate_recommender
from flatrec.utils.moments import as_date_time

SLICES, BROKEN, DAY = 8, 5, 86_400
DATASET = """
name = "{name}"
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
tensorboard = false

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
    seconds: float
    epochs: int
    recall: float | None  # on the next slice, of the recommender that is in use then


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


def replay(events: pl.DataFrame, folder: Path, *, name: str, warm: bool, seed: int) -> list[Row]:
    """Deliver slice after slice, and return what became of each."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "dataset.toml").write_text(DATASET.format(name=name))
    (folder / "shop.toml").write_text(SETTINGS.format(warm=str(warm).lower(), seed=seed))
    ends = np.linspace(events["time"].min(), int(events["time"].max()) + 1, SLICES + 1).astype(np.int64)[1:]
    rows, known = [], 0
    for number, end in enumerate(ends.tolist(), start=1):
        delivery = events.filter(pl.col("time") < end)
        users = delivery["user"].n_unique()
        (delivery[::2] if number == BROKEN else delivery).write_parquet(folder / "data" / "events.parquet")
        outcome, seconds, epochs = deliver(folder)
        later = None if number == SLICES else recall_after(events, folder, int(end), int(ends[number]))
        rows.append(Row(users, users - known, outcome, seconds, epochs, later))
        known = users
        sys.stderr.write(f"{name}, seed {seed}, warm {warm}, slice {number}: {rows[-1]}\n")
    return rows


def deliver(folder: Path) -> tuple[str, float, int]:
    """Run the nightly job once; return the outcome, the seconds of training, and the epochs that were trained."""
    try:
        state = refresh(read_settings(folder / "shop.toml"))
    except RefusedError:
        return "refused", 0.0, 0
    return str(state.outcome), sum(state.seconds.get(step, 0.0) for step in ("train", "fit")), epochs_of(folder, state)


def epochs_of(folder: Path, state: State) -> int:
    """Return the number of epochs of both training runs of a generation that was promoted."""
    runs = folder / "store" / "generations" / f"{state.number:04d}"
    records = [runs / name / "epochs.jsonl" for name in ("candidate", "final")]
    return sum(len(path.read_text().splitlines()) for path in records if path.exists())


def recall_after(events: pl.DataFrame, folder: Path, start: int, end: int) -> float:
    """Return Recall@10 of the recommender in use on the slice that comes next."""
    table = events.filter(pl.col("time") < end)
    columns = flatrec.TableSettings(rows=flatrec.RowSettings(time_column="time"))
    split = SplitSettings(method="time", ratios=(8, 0, 2), valid_from=as_date_time(start), test_from=as_date_time(start))
    dataset = flatrec.Dataset.from_frames(table, columns=columns, split=split)
    recommender = flatrec.load_recommender(folder / "store" / "current")
    return evaluate_recommender(recommender, dataset, "test", ks=(10,), metrics=("recall",)).metrics["recall@10"]


def table(warm: Sequence[Sequence[Row]], cold: Sequence[Sequence[Row]]) -> str:
    """Return the rows of all seeds as Markdown."""
    lines = [
        "| delivery | users | new users | outcome, warm | outcome, cold | seconds, warm | seconds, cold | epochs, warm "
        "| epochs, cold | Recall@10 on the next slice, warm | Recall@10, cold |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for number in range(SLICES):
        pair = [[rows[number] for rows in runs] for runs in (warm, cold)]
        cells = [str(number + 1), str(pair[0][0].users), str(pair[0][0].new_users)]
        cells += [outcomes(rows) for rows in pair]
        cells += [f"{fmean(row.seconds for row in rows):.1f}" for rows in pair]
        cells += [f"{fmean(row.epochs for row in rows):.0f}" for rows in pair]
        cells += [recalls(rows) for rows in pair]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def outcomes(rows: Sequence[Row]) -> str:
    """Return how often each outcome came."""
    names = [row.outcome for row in rows]
    if len(set(names)) == 1:
        return names[0]
    return ", ".join(f"{name} {names.count(name)}" for name in dict.fromkeys(names))


def recalls(rows: Sequence[Row]) -> str:
    """Return the mean and the deviation over the seeds."""
    values = [row.recall for row in rows if row.recall is not None]
    if not values:
        return ""
    mean, deviation = spread(values)
    return f"{mean:.4f} ± {deviation:.4f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Replay with and without a warm start, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args(arguments)
    events = shop_events() if given.data is None else arriving_users(given.data)
    name = "shop" if given.data is None else given.data.name
    runs = {
        warm: [
            replay(events, given.out / f"{'warm' if warm else 'cold'}-{seed}", name=name, warm=warm, seed=seed)
            for seed in range(given.seeds)
        ]
        for warm in (True, False)
    }
    sys.stdout.write(table(runs[True], runs[False]))


if __name__ == "__main__":
    main()
