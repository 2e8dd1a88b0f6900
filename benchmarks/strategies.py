"""What a step of each strategy costs, in time and in memory, against plain training of the same model.

    flatrec data shop baby-like --like baby --image-dim 4096 --text-dim 384
    OMP_NUM_THREADS=1 python benchmarks/strategies.py --data baby-like --out strategies.json

Steps of all strategies alternate with plain ones in one process, all on the same batches, each strategy on a model of
its own; a ratio is the median over the rounds of a step's time over that of the plain step of the same round, and is
what to read: seconds drift with the machine. "State" is what the strategy and its context keep from step to step, in
copies of all parameters: running means, and buffers that spare them fresh memory; the base optimizer's state is left
out. "Extra peak" is by how many copies the peak of a process of its own lies above that of plain training.

``--profile bsam+`` prints where the time of that strategy goes instead.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from results import record
from steps import Steps
from torch.profiler import ProfilerActivity, profile

from flatrec.data.dataset import Dataset
from flatrec.data.loading import load_data
from flatrec.registry.instantiate import strategy_names
from flatrec.strategies import ON_EMBEDDINGS, Mixed
from flatrec.utils.malloc import tune_malloc
from flatrec.utils.provenance import peak_memory_mb

PLAIN = "plain"


def copies(steps: Steps) -> float:
    """What is kept from step to step, in copies of all parameters."""
    inner = steps.strategy.inner if isinstance(steps.strategy, Mixed) else steps.strategy
    lists = [steps.context._buffers, *vars(inner).values()]
    kept = [one for some in lists if isinstance(some, list) for one in some]
    size = sum(one.numel() * one.element_size() for one in steps.context.params)
    return float(sum(one.numel() * one.element_size() for one in kept) / size)


def timed(model: str, strategies: Sequence[str], dataset: Dataset, *, steps: int, batch_size: int) -> list[list[float]]:
    """Seconds by round and strategy; the first is plain."""
    every = [Steps(model, name, dataset, batch_size) for name in (PLAIN, *strategies)]
    for _ in range(2):
        for one in every:
            one.take()
    return [[one.take() for one in every] for _ in range(steps)]


def memory(model: str, strategy: str, dataset: Dataset, batch_size: int) -> dict[str, float]:
    """State and peak of this process."""
    steps = Steps(model, strategy, dataset, batch_size)
    for _ in range(4):
        steps.take()
    bytes_a_copy = sum(one.numel() * one.element_size() for one in steps.context.params)
    return {"state": copies(steps), "peak_mb": peak_memory_mb(), "copy_mb": bytes_a_copy / 1e6}


def profiled(model: str, strategy: str, dataset: Dataset, batch_size: int) -> str:
    """A table of the operators that take the time of a step."""
    steps = Steps(model, strategy, dataset, batch_size)
    steps.take()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(3):
            steps.take()
    return str(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40))


def _alone(model: str, strategy: str, given: argparse.Namespace) -> dict[str, float]:
    """Memory, measured in a new process."""
    words = [sys.executable, __file__, "--data", str(given.data), "--models", model, "--strategies", strategy]
    words += ["--batch-size", str(given.batch_size), "--memory"]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def rows(
    model: str, memories: Mapping[str, Mapping[str, float]], dataset: Dataset, given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """A row a strategy, given what each needs of memory."""
    names = [name for name in memories if name != PLAIN]
    together = given.together or len(names)
    plain = memories[PLAIN]
    for first in range(0, len(names), together):
        some = names[first : first + together]
        rounds = timed(model, some, dataset, steps=given.steps, batch_size=given.batch_size)
        for place, name in enumerate(some, start=1):
            own = memories[name]
            yield {
                "model": model,
                "strategy": name,
                "ms": round(1000 * median(one[place] for one in rounds), 1),
                "plain_ms": round(1000 * median(one[0] for one in rounds), 1),
                "ratio": round(median(one[place] / one[0] for one in rounds), 2),
                "state_copies": round(own["state"], 1),
                "extra_peak_copies": round((own["peak_mb"] - plain["peak_mb"]) / plain["copy_mb"], 1),
            }


def names_on_parameters() -> list[str]:
    """Names of the strategies but for plain and those that perturb final embeddings alone."""
    return [name for name in strategy_names() if name != PLAIN and name.removesuffix("+") not in ON_EMBEDDINGS]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", default="lightgcn,freedom")
    parser.add_argument("--strategies", default=",".join(names_on_parameters()))
    parser.add_argument("--steps", type=int, default=11)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--together", type=int, default=0, help="strategies in memory at once; default all")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--profile", help="a strategy")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    tune_malloc()
    models, strategies = given.models.split(","), given.strategies.split(",")
    if given.memory:
        print(json.dumps(memory(models[0], strategies[0], load_data(given.data), given.batch_size)))
        return
    if given.profile:
        for model in models:
            print(model, profiled(model, given.profile, load_data(given.data), given.batch_size), sep="\n")
        return
    # Before any data are loaded here: a process counts its parent's memory as its own until it begins.
    memories = {model: {name: _alone(model, name, given) for name in (PLAIN, *strategies)} for model in models}
    dataset = load_data(given.data)
    found = itertools.chain.from_iterable(rows(model, memories[model], dataset, given) for model in models)
    how = {"data": str(given.data), "batch_size": given.batch_size, "steps": given.steps}
    record(found, given.out, **how)


if __name__ == "__main__":
    main()
