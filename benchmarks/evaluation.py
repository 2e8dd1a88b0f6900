"""Ranking all users of a data set, against a plain NumPy version and against torch's topk over all scores.

    flatrec data shop baby-like --like baby --image-dim 4096 --text-dim 384
    OMP_NUM_THREADS=1 python benchmarks/evaluation.py --data baby-like --out evaluation.json

The three take turns on the same random representations; a time is the median over the rounds. All mask training pairs
and find the 20 best of every user with a validation pair; ours computes all metrics besides. Recall@20 must agree.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy import ndarray
from results import record

from flatrec.data.interactions import Interactions
from flatrec.data.loading import load_data
from flatrec.evaluation.evaluate import evaluate
from flatrec.utils.malloc import tune_malloc

BLOCK, K = 1024, 20


def with_numpy(users: ndarray, items: ndarray, interactions: Interactions) -> float:
    """Recall@20 by argpartition over whole blocks of scores."""
    return _recall(users, items, interactions, lambda scores: np.argpartition(-scores, K, axis=1)[:, :K])


def with_topk(users: ndarray, items: ndarray, interactions: Interactions) -> float:
    """Recall@20 by torch's topk over whole blocks of scores."""
    return _recall(users, items, interactions, lambda scores: torch.from_numpy(scores).topk(K, dim=1).indices.numpy())


def _recall(users: ndarray, items: ndarray, interactions: Interactions, best: Callable[[ndarray], ndarray]) -> float:
    train, valid = interactions.matrix("train"), interactions.matrix("valid")
    scored = np.flatnonzero(np.diff(valid.indptr))
    recalls = []
    for start in range(0, len(scored), BLOCK):
        block = scored[start : start + BLOCK]
        scores = users[block] @ items.T
        known = train[block]
        scores[np.repeat(np.arange(len(block)), np.diff(known.indptr)), known.indices] = -np.inf
        relevant = valid[block]
        hits = np.take_along_axis(relevant.toarray() > 0, best(scores), axis=1).sum(axis=1)
        recalls.append(hits / np.diff(relevant.indptr))
    return float(np.concatenate(recalls).mean())


def measured(interactions: Interactions, dim: int, rounds: int) -> dict[str, object]:
    """Seconds of each, and the ratios to ours."""
    stream = np.random.default_rng(0)
    users, items = (
        stream.standard_normal((count, dim), dtype=np.float32) for count in (interactions.n_users, interactions.n_items)
    )
    every: dict[str, Callable[[], float]] = {
        "flatrec": lambda: evaluate(users, items, interactions).metrics["recall@20"],
        "numpy": lambda: with_numpy(users, items, interactions),
        "topk": lambda: with_topk(users, items, interactions),
    }
    recalls = {name: work() for name, work in every.items()}
    if max(recalls.values()) - min(recalls.values()) > 1e-9:
        raise ValueError(f"expected the same Recall@20, but got {recalls}")
    times = []
    for _ in range(rounds):
        row = {}
        for name, work in every.items():
            started = time.perf_counter()
            work()
            row[name] = time.perf_counter() - started
        times.append(row)
    seconds = {f"{name}_seconds": round(median(one[name] for one in times), 3) for name in every}
    ratios = {f"{name}_ratio": round(median(one[name] / one["flatrec"] for one in times), 2) for name in every}
    return {"dim": dim, **seconds, **ratios}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dims", default="64,128")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    tune_malloc()
    interactions = load_data(given.data).interactions
    rows = (measured(interactions, int(dim), given.rounds) for dim in given.dims.split(","))
    record(rows, given.out, data=str(given.data))


if __name__ == "__main__":
    main()
