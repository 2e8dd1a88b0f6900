"""Places of new items in lists of new and known ones, and what their scale does to the recall of both.

A tenth of the items is held out of training entirely (and another tenth, which is not used here). Then these items join
the recommender as new ones, and the ten best of all items are listed for every user with a test interaction, once with
the embeddings of the new items as they are and once at the scale of the known items. Printed are the fraction of
slots that new items hold, the fraction of the relevant interactions that are with new items, and the Recall@10 of the
known and of the new relevant items, each over the users who have such items: mean and deviation over the seeds.

``python experiments/new_item_scale.py --data ML_SMALL --models freedom,vbpr``; ``--data shop`` is the built-in shop.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from scipy import sparse

import flatrec
from flatrec.api import load
from flatrec.evaluation import rank
from flatrec.inference.cold_start.embeddings import embedder
from flatrec.inference.cold_start.evaluation import held_out_items
from flatrec.inference.cold_start.holdout import Holdout, hold_out_items
from flatrec.inference.joining import join
from flatrec.inference.recommender import Recommender
from flatrec.models.scoring import Vectors

K = 10


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="shop", help="Folder with features; `shop` is the built-in shop.")
    parser.add_argument("--models", default="freedom,vbpr")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=200)
    arguments = parser.parse_args()
    for model in arguments.models.split(","):
        rows = [measured(arguments.data, model, arguments.epochs, seed) for seed in range(arguments.seeds)]
        for name in rows[0]:
            values = [row[name] for row in rows]
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            print(f"{model}: {name} {statistics.mean(values):.4f} ± {deviation:.4f}", flush=True)  # noqa: T201


def measured(data: str, model: str, epochs: int, seed: int) -> Mapping[str, float]:
    """Return the figures of one seed, which draws the held-out items and trains."""
    dataset = load(data)
    holdout = hold_out_items(dataset, 0.1, seed)
    run = flatrec.fit(
        holdout.remaining,
        model,
        "plain",
        optimizer_settings={"lr": 0.005},
        regularization=flatrec.Regularization(kind="default"),
        training=flatrec.Training(epochs=epochs, loggers=()),
        seed=seed,
    )
    items = held_out_items(holdout, "test")
    method, embed = embedder(run)
    joined = join(run.recommender, items, method, embed)
    vectors = joined.recommender.scoring
    assert isinstance(vectors, Vectors)  # noqa: S101
    scale, n_known = joined.calibration.scale, holdout.remaining.n_items
    unscaled = torch.cat([vectors.items[:n_known], vectors.items[n_known:] / scale])
    before = replace(joined.recommender, scoring=Vectors(vectors.users, unscaled))
    columns = holdout.items["test"][items.rows]
    return {
        "scale": scale,
        **{f"{name} (as they are)": value for name, value in figures(before, holdout, columns).items()},
        **{f"{name} (at the scale)": value for name, value in figures(joined.recommender, holdout, columns).items()},
        "fraction of relevant interactions with new items": relevant_fraction(holdout, columns),
    }


def figures(recommender: Recommender, holdout: Holdout, columns: np.ndarray) -> dict[str, float]:
    """Return the fraction of slots that new items hold, the users who list one, and the recall of known and new."""
    known, new = relevant(holdout, columns)
    users = np.flatnonzero(np.diff(known.indptr) + np.diff(new.indptr))
    training, valid = (holdout.remaining.interactions.matrix(split) for split in ("train", "valid"))
    seen = sparse.csr_array(sparse.hstack([training + valid, sparse.csr_array(new.shape)]))
    lists = rank(recommender.scoring.scores, torch.from_numpy(users), K, seen).items.numpy()
    n_known = holdout.remaining.n_items
    both = sparse.csr_array(sparse.hstack([known, new])).toarray()[users] > 0
    hits = np.take_along_axis(both, lists, axis=1)
    is_new = lists >= n_known
    found = {"new items in lists": float(is_new.mean()), "users who list one": float(is_new.any(axis=1).mean())}
    found["lists of known items"] = float((~is_new).any(axis=1).mean())
    for name, mask, table in (("known", ~is_new, both[:, :n_known]), ("new", is_new, both[:, n_known:])):
        counts = table.sum(axis=1)
        recall = (hits & mask).sum(axis=1) / np.maximum(counts, 1)
        found[f"Recall@10 of {name} items"] = float(recall[counts > 0].mean())
    return found


def relevant(holdout: Holdout, columns: np.ndarray) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return the test interactions with known items, and all interactions with the new ones."""
    interactions = holdout.full.interactions
    everything = sum((interactions.matrix(split) for split in ("valid", "test")), start=interactions.matrix("train"))
    return holdout.remaining.interactions.matrix("test"), sparse.csr_array(everything[:, columns])


def relevant_fraction(holdout: Holdout, columns: np.ndarray) -> float:
    """Return the fraction of the interactions with new items among all relevant ones."""
    known, new = relevant(holdout, columns)
    return new.nnz / (new.nnz + known.nnz)


if __name__ == "__main__":
    main()
