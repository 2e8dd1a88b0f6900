"""What a run saves that starts from the last one: epochs and seconds until it scores what a cold run reaches.

    OMP_NUM_THREADS=1 python benchmarks/warm_start.py --out warm_start.json

The data are the built-in shop's purchases, in order of time. The earlier run knows what was bought before December
2024, and the users and items of that time. The later one knows the whole year; it is trained twice, from initial
parameters (cold) and from those of the earlier run (warm), with other seeds than the earlier one. Both are scored on
the first half of December after every epoch. The best validation score of the cold run is the goal, and
``epochs_to_goal`` and ``seconds_to_goal`` say when each reaches it; ``scores`` has every epoch. Seconds are those of
the processor, training and evaluation together, beginning with the first epoch.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
from results import record

import flatrec
from flatrec.config import SplitSettings, Training
from flatrec.data.dataset import Dataset
from flatrec.data.shop import ShopSettings, generate
from flatrec.inference.run import Run
from flatrec.training import EpochRecord

MONITOR = "ndcg@20"
LR = 0.005  # of all runs: with the default of 0.001 they stand on a plateau for so long that some stop there
MODELS = ("lightgcn", "freedom")


@dataclass
class Clock:
    """Processor seconds from the start of training to the end of each epoch."""

    started: float = 0.0
    seconds: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Begin."""
        del first_epoch, epochs, steps
        self.started = time.process_time()

    def on_step(self, epoch: int, step: int) -> None:
        """Nothing."""

    def on_epoch(self, record: EpochRecord) -> None:
        """Keep score and time."""
        self.seconds.append(time.process_time() - self.started)
        self.scores.append(record.valid[MONITOR])

    def on_end(self) -> None:
        """Nothing."""

    def first_at(self, goal: float) -> int | None:
        """The number of the first epoch with at least this score."""
        return next((epoch for epoch, score in enumerate(self.scores, start=1) if score >= goal), None)


def shop_until(end: date, valid_from: date, test_from: date) -> Dataset:
    """The shop as it stood on a day: the users and items that had been seen by then."""
    shop = generate(ShopSettings()).dataset
    rows = shop.to_frame().drop("split")
    midnight = datetime(end.year, end.month, end.day, tzinfo=UTC).timestamp()
    rows = rows.filter(pl.col("timestamp") < midnight)
    known = set(rows["item"])
    features = {name: shop.features_frame(name).filter(pl.col("item").is_in(list(known))) for name in shop.features}
    split = SplitSettings(method="time", valid_from=valid_from, test_from=test_from)
    return Dataset.from_frames(rows, features=features, split=split, name=f"shop until {end}")


def trained(dataset: Dataset, model: str, strategy: str, seed: int, **options: Any) -> tuple[Run, Clock]:
    """A run that stops by its own patience, and when it scored what."""
    clock = Clock()
    training = Training(epochs=300, patience=40, monitor=MONITOR, loggers=())
    options = {"training": training, "seed": seed, "optimizer_settings": {"lr": LR}, "callbacks": [clock], **options}
    released = flatrec.Regularization(kind="default")
    run = flatrec.fit(dataset, model, strategy, regularization=released, **options)
    return run, clock


def measured(seeds: int, strategy: str) -> Iterator[dict[str, Any]]:
    """One row per seed, model and beginning."""
    before = shop_until(date(2024, 12, 1), date(2024, 11, 1), date(2024, 11, 16))
    later = shop_until(date(2025, 1, 1), date(2024, 12, 1), date(2024, 12, 16))
    for seed in range(seeds):
        for model in MODELS:
            with tempfile.TemporaryDirectory(dir=".") as folder:
                trained(before, model, strategy, 100 + seed, out=Path(folder) / "run")
                cold, cold_clock = trained(later, model, strategy, seed)
                warm, warm_clock = trained(later, model, strategy, seed, init_from=Path(folder) / "run")
            goal = max(cold_clock.scores)
            for name, run, clock in (("cold", cold, cold_clock), ("warm", warm, warm_clock)):
                epoch = clock.first_at(goal)
                yield {
                    "model": model,
                    "strategy": strategy,
                    "seed": seed,
                    "start": name,
                    "goal": goal,
                    "epochs_to_goal": epoch,
                    "seconds_to_goal": None if epoch is None else clock.seconds[epoch - 1],
                    "epochs": run.result["epochs"],
                    "seconds": clock.seconds[-1],
                    "valid": run.result["valid"][MONITOR],
                    "test": run.result["test"][MONITOR],
                    "scores": clock.scores,
                    "taken": run.result["init_from"],
                }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--strategy", default="plain")
    parser.add_argument("--out", type=Path, help="JSON file with all rows.")
    options = parser.parse_args()
    record(measured(options.seeds, options.strategy), options.out, monitor=MONITOR)


if __name__ == "__main__":
    main()
