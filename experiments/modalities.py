"""What each modality of ``ML_SMALL`` contributes to FREEDOM: alone, together, and shuffled over the items.

``python experiments/modalities.py --data ML_SMALL`` prints one line per variant: mean and deviation over seeds 0 to 4.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping

import numpy as np

import flatrec
from flatrec.data.features import Features

METRICS = ("recall@10", "recall@20", "ndcg@10")


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="Folder with the modalities image and text.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=200)
    arguments = parser.parse_args()
    dataset = flatrec.load_data(arguments.data)
    training = flatrec.Training(epochs=arguments.epochs, loggers=())
    scores: dict[str, list[Mapping[str, float]]] = {}
    for seed in range(arguments.seeds):
        for name, features in variants(dataset.features, seed).items():
            run = flatrec.fit(
                dataset.with_features(features),
                "freedom",
                "plain",
                optimizer_settings={"lr": 0.005},
                regularization=flatrec.Regularization(kind="default"),
                training=training,
                seed=seed,
            )
            scores.setdefault(name, []).append(run.result["test"])
    for name, of_seeds in scores.items():
        cells = []
        for metric in METRICS:
            values = [one[metric] for one in of_seeds]
            cells.append(f"{metric} {statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}")
        print(f"{name}: {', '.join(cells)}")  # noqa: T201 - a script


def variants(features: Mapping[str, Features], seed: int) -> dict[str, dict[str, Features]]:
    """Return the features that are trained on, by the name of the variant."""
    image, text = features["image"], features["text"]
    return {
        "both": {"image": image, "text": text},
        "text": {"text": text},
        "image": {"image": image},
        "text, image shuffled": {"text": text, "image": shuffled(image, seed)},
        "image, text shuffled": {"image": image, "text": shuffled(text, seed)},
        "both shuffled": {"image": shuffled(image, seed), "text": shuffled(text, seed + 100)},
    }


def shuffled(features: Features, seed: int) -> Features:
    """Return the same rows in another order, so that an item has the features of another one."""
    return features.take(np.random.default_rng(seed).permutation(len(features.values)))


if __name__ == "__main__":
    main()
