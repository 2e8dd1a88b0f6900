"""Whether ``torch.compile`` of ``encode`` and ``loss`` pays on this machine, warm-up included.

    flatrec data shop baby-like --like baby --image-dim 4096 --text-dim 384
    OMP_NUM_THREADS=1 python benchmarks/compiled.py --data baby-like

Steps of the compiled model alternate with those of the plain one; the first compiled step stands apart, and the epochs
that it takes to earn it back. Needs a C++ compiler.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
from results import record
from steps import Steps

from flatrec.data.dataset import Dataset
from flatrec.data.loading import load_data
from flatrec.utils.malloc import tune_malloc


def measured(name: str, dataset: Dataset, rounds: int, batch_size: int) -> dict[str, object]:
    """Seconds of a step either way."""
    plain, compiled = (Steps(name, "plain", dataset, batch_size) for _ in range(2))
    compiled.model.encode = torch.compile(compiled.model.encode)  # type: ignore[method-assign]
    compiled.model.loss = torch.compile(compiled.model.loss)  # type: ignore[method-assign]
    plain.take()
    first = compiled.take() + compiled.take()  # the second one may compile again
    times = [(plain.take(), compiled.take()) for _ in range(rounds)]
    before, after = (median(column) for column in zip(*times, strict=True))
    saved = (before - after) * len(plain)
    return {
        "model": name,
        "step": round(before, 4),
        "compiled_step": round(after, 4),
        "ratio": round(median(one[0] / one[1] for one in times), 2),
        "first_two_steps": round(first, 1),
        "epochs_to_earn_back": round(first / saved, 1) if saved > 0 else None,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", default="lightgcn,freedom,lgmrec,mmgcn,dragon")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    tune_malloc()
    dataset = load_data(given.data)
    rows = (measured(name, dataset, given.rounds, given.batch_size) for name in given.models.split(","))
    record(rows, given.out)


if __name__ == "__main__":
    main()
