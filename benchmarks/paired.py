"""CPU time of training under this source and under another one, epoch by epoch in turn.

    git worktree add ../before COMMIT
    flatrec data shop runs/baby-like --like baby --image-dim 512 --text-dim 384
    OMP_NUM_THREADS=1 python benchmarks/paired.py --other ../before/src --data runs/baby-like

Two processes train the same thing and wait for one another: an epoch of one, an epoch of the other, in alternating
order, so that whatever else the machine does falls on both; both begin again several times. An epoch holds its steps,
its validation and its checkpoint; steps are its part up to the last step. The ratio of CPU times is taken pair by pair;
its median comes with a 95 % interval from resampling pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np


class Turns:
    """An observer that waits before each epoch until it is this process's turn, and tells what the epoch cost."""

    def __init__(self) -> None:
        self.begun = self.stepped = 0.0

    def on_start(self, *_: int) -> None:
        """Wait for the first turn."""
        self._wait()

    def on_step(self, *_: int) -> None:
        """Remember when the last step ended."""
        self.stepped = time.process_time()

    def on_epoch(self, _: object) -> None:
        """Tell, and wait for the next turn."""
        now = time.process_time()
        print(json.dumps({"steps": self.stepped - self.begun, "epoch": now - self.begun}), flush=True)
        self._wait()

    def on_end(self) -> None:
        """Nothing."""

    def _wait(self) -> None:
        sys.stdin.readline()
        self.begun = time.process_time()


def work(data: str, model: str, strategy: str, epochs: int) -> None:
    """Train in this process, in turns."""
    import flatrec
    from flatrec.utils.malloc import tune_malloc

    tune_malloc()  # as the command line does; fetching memory again and again costs more than what is measured
    training = flatrec.Training(epochs=epochs, patience=epochs, loggers=())
    with tempfile.TemporaryDirectory() as out:
        flatrec.fit(flatrec.load_data(data), model, strategy, training=training, out=out, overwrite=True, device="cpu",
                    callbacks=[Turns()])  # fmt: skip


@dataclass(frozen=True)
class Worker:
    """A process that trains under one of the sources."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, source: Path, words: list[str]) -> Worker:
        """Begin; the first epoch waits for its turn."""
        environment = {**os.environ, "PYTHONPATH": str(source.resolve())}
        command = [sys.executable, __file__, "--work", *words]
        return cls(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment))

    def epoch(self) -> dict[str, float]:
        """Let it train an epoch."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))


def compare(here: Path, other: Path, words: list[str], pairs: int) -> dict[str, list[float]]:
    """The ratios, here over other, pair by pair in two fresh processes; the first pair warms up and does not count."""
    workers = {"here": Worker.start(here, words), "other": Worker.start(other, words)}
    ratios: dict[str, list[float]] = {"steps": [], "epoch": []}
    try:
        for pair in range(pairs + 1):
            order = ("here", "other") if pair % 2 else ("other", "here")
            cost = {name: workers[name].epoch() for name in order}
            for what, values in ratios.items() if pair else ():
                values.append(cost["here"][what] / cost["other"][what])
    finally:
        for worker in workers.values():
            worker.process.kill()
    return ratios


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Median and 95 % interval."""
    draws = np.random.default_rng(0).choice(ratios, size=(10_000, len(ratios)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return median(ratios), float(low), float(high)


def main() -> None:
    """Measure and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", nargs=4, metavar=("DATA", "MODEL", "STRATEGY", "EPOCHS"))
    parser.add_argument("--other", type=Path, help="the other source folder")
    parser.add_argument("--data")
    parser.add_argument("--models", default="lightgcn,freedom")
    parser.add_argument("--strategies", default="plain,bsam+")
    parser.add_argument("--pairs", type=int, default=6, help="a pair of processes")
    parser.add_argument("--restarts", type=int, default=4, help="of both processes, whose memory lies elsewhere then")
    given = parser.parse_args()
    if given.work:
        data, model, strategy, epochs = given.work
        work(data, model, strategy, int(epochs))
        return
    here = Path(__file__).parents[1] / "src"
    for model in given.models.split(","):
        for strategy in given.strategies.split(","):
            words = [given.data, model, strategy, str(given.pairs + 3)]
            ratios: dict[str, list[float]] = {"steps": [], "epoch": []}
            for _ in range(given.restarts):
                for what, more in compare(here, given.other, words, given.pairs).items():
                    ratios[what] += more
            for what, values in ratios.items():
                middle, low, high = interval(values)
                print(f"{model:10} {strategy:6} {what:6} {middle:.3f} ({low:.3f} to {high:.3f}), {len(values)} pairs",
                      flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
