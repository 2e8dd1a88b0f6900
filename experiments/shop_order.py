"""Whether the built-in shop is worth learning from: every model over several seeds, and FREEDOM on shuffled features.

Run: python experiments/shop_order.py --seeds 5

The learning rate is higher than the package's 0.001: an epoch of the shop has seven updates, and at 0.001 the first
rise of the validation score can take longer than the twenty epochs of patience.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from flatrec import Dataset, Regularization, Training, fit
from flatrec.data.features import Features
from flatrec.data.shop import ShopSettings, generate
from flatrec.evaluation.significance import spread

METRIC = "recall@10"
MODELS = ("popularity", "item-knn", "bpr", "lightgcn", "freedom", "freedom, features shuffled")


def shuffled(dataset: Dataset, seed: int) -> Dataset:
    """The data set with each item given the features of another."""
    order = np.random.default_rng(seed).permutation(dataset.n_items)
    features = {name: Features(one.values[order], one.present[order]) for name, one in dataset.features.items()}
    return replace(dataset, features=features)


def scores(dataset: Dataset, model: str, seeds: Sequence[int], lr: float) -> list[float]:
    """Test scores of plain training, one a seed."""
    name, _, change = model.partition(", ")
    found = []
    for seed in seeds:
        data = shuffled(dataset, seed) if change else dataset
        run = fit(
            data,
            name,
            "plain",
            seed=seed,
            optimizer_settings={"lr": lr},
            regularization=Regularization(kind="default"),
            training=Training(loggers=()),
        )
        found.append(float(run.result["test"][METRIC]))
    return found


def main() -> None:
    """Print a JSON line a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--items", type=int, default=800)
    given = parser.parse_args()
    dataset = generate(ShopSettings(users=given.users, items=given.items)).dataset
    for model in MODELS:
        values = scores(dataset, model, range(given.seeds), given.lr)
        mean, deviation = spread(values)
        line = {"model": model, "metric": METRIC, "mean": mean, "deviation": deviation, "values": values}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
