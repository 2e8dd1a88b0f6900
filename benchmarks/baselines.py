"""Seconds to build every baseline and to rank with it, and the memory that takes.

    flatrec data shop baby-like --like baby --image-dim 4096 --text-dim 384
    OMP_NUM_THREADS=1 python benchmarks/baselines.py --data baby-like --out baselines.json

Each row is measured in a process of its own, which builds the baseline with default settings and ranks the items of
every user with a validation pair, several times; seconds are medians of its CPU time. The same users are ranked by
random vectors of 64 columns, in turn, and the ratio to them is what a model of vectors would save. The peak is that of
the process, the data included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import torch
from results import record

from flatrec.config import Component
from flatrec.data.interactions import Interactions
from flatrec.data.loading import load_data
from flatrec.evaluation.evaluate import evaluate_scorer
from flatrec.models import BASELINES
from flatrec.models.scoring import Vectors
from flatrec.registry.instantiate import build_model
from flatrec.utils.malloc import tune_malloc
from flatrec.utils.provenance import peak_memory_mb

WIDTH = 64  # of the vectors that are ranked beside


def measured(name: str, data: Path, rounds: int) -> dict[str, object]:
    """The row of one baseline."""
    dataset = load_data(data)
    builds = [seconds(partial(build_model, Component(name), dataset, seed=0)) for _ in range(rounds)]
    scoring = build_model(Component(name), dataset, seed=0).scoring()
    interactions = dataset.interactions
    users, items = (torch.randn(count, WIDTH) for count in (interactions.n_users, interactions.n_items))
    vectors = Vectors(users, items)
    times = [[seconds(partial(ranked, one.scores, interactions)) for one in (scoring, vectors)] for _ in range(rounds)]
    return {
        "baseline": name,
        "build": round(median(builds), 3),
        "ranking": round(median(own for own, _ in times), 3),
        "vectors_ranking": round(median(other for _, other in times), 3),
        "ratio": round(median(own / other for own, other in times), 2),
        "peak_mb": peak_memory_mb(),
    }


def ranked(scores: Callable[..., torch.Tensor], interactions: Interactions) -> None:
    """Rank the items of every user with a validation pair."""
    evaluate_scorer(scores, interactions, metrics=["recall"], ks=[20])


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def apart(name: str, given: argparse.Namespace) -> dict[str, object]:
    """A row, measured in a new process."""
    words = [sys.executable, __file__, "--data", str(given.data), "--rounds", str(given.rounds)]
    done = subprocess.run([*words, "--only", name], check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, object] = json.loads(done.stdout)
    return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every baseline in a process of its own, and write the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--baselines", default=",".join(BASELINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    tune_malloc()
    if given.only:
        print(json.dumps(measured(given.only, given.data, given.rounds)))
        return
    rows = (apart(name, given) for name in given.baselines.split(","))
    record(rows, given.out, data=str(given.data), rounds=given.rounds)


if __name__ == "__main__":
    main()
