"""Which distance and which radius of BSAM helps, if any: a screen on validation, then five seeds of the best.

    python experiments/distance_study.py screen  --config E.toml --data DATA --out study.jsonl --seeds 0,1
    python experiments/distance_study.py confirm --config E.toml --data DATA --out study.jsonl --seeds 0,1,2,3,4
    python experiments/distance_study.py report  --out study.jsonl

Each run is one line of the output file; a line that is there is not run again, so all three can be stopped at any time
and begun again. The screen goes through the radii one by one and, within each, through the strategies. `confirm` takes
the rivals without a radius and the three settings whose mean validation score is best, no two of the same strategy and
distance. Only validation chooses; the test scores are written down and not looked at before the report.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any

from flatrec import config
from flatrec.api import run_experiment
from flatrec.cli.options import experiment
from flatrec.config import Component, Experiment
from flatrec.data.dataset import Dataset
from flatrec.data.loading import load_data
from flatrec.evaluation.significance import holm, paired_test, spread
from flatrec.strategies.bsam import DISTANCES
from flatrec.training import DivergedError

CHOSEN_BY, METRICS = "recall@20", ("recall@10", "recall@20", "ndcg@10")
RADII = (  # those that were known to act come first
    ("absolute", 3.0),
    ("relative", 0.03),
    ("absolute", 1.0),
    ("relative", 0.1),
    ("absolute", 0.1),
    ("absolute", 5.0),
    ("absolute", 2.0),
    ("relative", 0.01),
)
LARGE = {("absolute", 3.0), ("absolute", 5.0), ("absolute", 2.0), ("relative", 0.1), ("relative", 0.03)}
GRADIENTS = {"plain": 1, "plain+": 2}  # a step; the others take two, or three with a "+"


@dataclass(frozen=True)
class Setting:
    """One row of the study: a strategy with its options, and the size of the batches."""

    strategy: str
    options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 2048

    @property
    def kind(self) -> str:
        """Strategy and distance, without the radius."""
        return f"{self.strategy} {self.options.get('distance', '')}".strip()

    @property
    def name(self) -> str:
        """What tells it from every other row."""
        options = {key: value for key, value in self.options.items() if key != "distance"}
        batch = {} if self.batch_size == Setting.batch_size else {"batch": self.batch_size}
        return " ".join([self.kind, *(f"{key}={value}" for key, value in {**options, **batch}.items())])


RIVALS = (Setting("plain"), Setting("plain+"), Setting("plain", batch_size=4096))


def settings() -> list[Setting]:
    """All rows, in the order in which they are run."""
    return [*RIVALS, *perturbed(RADII, 0), *perturbed([one for one in RADII if one in LARGE], 3)]


def perturbed(radii: Sequence[tuple[str, float]], warmup: float) -> Iterator[Setting]:
    """Every strategy and distance at every radius."""
    kinds: list[tuple[str, dict[str, str]]] = [("sam", {}), ("sam+", {}), ("friendlysam", {}), ("friendlysam+", {})]
    kinds += [(name, {"distance": distance}) for distance in DISTANCES for name in ("bsam", "bsam+")]
    for scale, rho in radii:
        for name, options in kinds:
            chosen: dict[str, Any] = {**options, "rho": rho, "rho_scale": scale}
            yield Setting(name, {**chosen, "rho_warmup": float(warmup)} if warmup else chosen)


def carried_out(base: Experiment, dataset: Dataset, setting: Setting, seed: int) -> dict[str, Any]:
    """Train once, and what is worth knowing of it; ``failed`` where the training diverged."""
    one = config.changed(base, {"seed": seed, "training": {"batch_size": setting.batch_size, "loggers": []}})
    one = one.replace(strategy=Component(setting.strategy, setting.options))
    line: dict[str, Any] = {"name": setting.name, "kind": setting.kind, "strategy": setting.strategy, "seed": seed}
    watch = _Curve()
    try:
        result = run_experiment(one, dataset, callbacks=[watch]).result
    except DivergedError as error:
        return {**line, "failed": str(error)}
    keep = ("epochs", "best_epoch", "valid", "test", "seconds", "trace", "skipped_steps")
    return {**line, **{key: result[key] for key in keep}, "steps": watch.steps, "curve": watch.points()}


class _Curve:
    """Validation by epoch and by seconds of training."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.scores: list[float | None] = []
        self.steps = 0

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:  # noqa: ARG002
        self.steps = steps

    def on_step(self, epoch: int, step: int) -> None:
        pass

    def on_epoch(self, record: Any) -> None:  # noqa: ANN401
        self.seconds.append(record.train_seconds)
        self.scores.append(record.valid.get(CHOSEN_BY))

    def on_end(self) -> None:
        pass

    def points(self) -> list[tuple[int, float, float]]:
        """Epoch, seconds until its end, score."""
        together = zip(accumulate(self.seconds), self.scores, strict=True)
        return [(epoch, time, score) for epoch, (time, score) in enumerate(together, start=1) if score is not None]


def read(path: Path) -> list[dict[str, Any]]:
    """The lines so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def run(rows: Sequence[Setting], seeds: Sequence[int], base: Experiment, path: Path) -> None:
    """Carry out what is missing."""
    dataset = load_data(Path(base.data))
    done = {(line["name"], line["seed"]) for line in read(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for setting in rows:
            if (setting.name, seed) not in done:
                line = carried_out(base, dataset, setting, seed)
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")


def best(lines: Sequence[Mapping[str, Any]], count: int = 3) -> list[Setting]:
    """The settings of the highest mean validation score, one a kind; over two seeds, or one where too few have two.

    Means over different seeds say nothing of the settings: the seed moves the score by more than most of these do.
    """
    candidates = [one for one in settings() if one not in RIVALS]
    for seeds in ({0, 1}, {0}):
        ran = {
            one.name: [line for line in lines if line["name"] == one.name and line["seed"] in seeds]
            for one in candidates
        }
        means = {name: fmean(map(_score, rows)) for name, rows in ran.items() if len(rows) == len(seeds)}
        ranked = sorted((one for one in candidates if one.name in means), key=lambda one: -means[one.name])
        kinds = list(dict.fromkeys(one.kind for one in ranked))
        if len(kinds) >= count:
            break
    return [next(one for one in ranked if one.kind == kind) for kind in kinds[:count]]


def _score(line: Mapping[str, Any]) -> float:
    """Of one run on validation; 0 where it diverged."""
    return float(line["valid"][CHOSEN_BY]) if "valid" in line else 0.0


def report(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The screen, and the rows that have five seeds tested against plain and plain+, as Markdown."""
    names = dict.fromkeys(line["name"] for line in lines)
    seeds = {name: [line for line in lines if line["name"] == name] for name in names}
    for one in RIVALS:
        if one.name in seeds:
            yield f"{one.name}: {_cell(seeds[one.name])}"
    for warmup in (0.0, 3.0):
        yield from _screen([one for one in settings() if one.options.get("rho_warmup", 0.0) == warmup], seeds)
    confirmed = {name: rows for name, rows in seeds.items() if len(rows) >= 5 and all("test" in one for one in rows)}
    if {"plain", "plain+"} <= set(confirmed):
        yield from tested(confirmed)


def _screen(rows: Sequence[Setting], seeds: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Validation by strategy and radius, with the last epoch's cos(eps, g1) at the first radius."""
    rows = [one for one in rows if one not in RIVALS and one.name in seeds]
    radii = sorted({(str(one.options["rho_scale"]), float(one.options["rho"])) for one in rows})
    if not rows:
        return
    yield f"\nwarm-up {rows[0].options.get('rho_warmup', 0.0):g} epochs\n"
    yield "| strategy | " + " | ".join(f"{scale} {rho:g}" for scale, rho in radii) + " | d | cos(eps, g1) |"
    yield "|---" * (len(radii) + 3) + "|"
    for kind in dict.fromkeys(one.kind for one in rows):
        own = {(one.options["rho_scale"], one.options["rho"]): seeds[one.name] for one in rows if one.kind == kind}
        cells = [_cell(own[radius]) if radius in own else "" for radius in radii]
        watched = [_late(next(iter(own.values())), key) for key in ("distance", "cos(eps, g1)")]
        yield f"| {kind} | " + " | ".join([*cells, *watched]) + " |"


def _cell(rows: Sequence[Mapping[str, Any]]) -> str:
    """Mean validation score, and of how many seeds."""
    return f"{fmean(map(_score, rows)):.4f} ({len(rows)})"


def _late(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    """Mean over the seeds of what the last epoch traced."""
    values = [line["trace"][key][-1] for line in rows if line["trace"].get(key)]
    values = [value for value in values if value is not None]
    return f"{fmean(values):.3g}" if values else ""


def tested(confirmed: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Test scores with gains and p (paired t, Holm over all tests of the table), and where plain stands by then."""
    pairs = [
        (name, metric, baseline)
        for name in confirmed
        for metric in METRICS
        for baseline in ("plain", "plain+")
        if name not in ("plain", baseline)
    ]
    tests = [paired_test(_scores(confirmed[a], metric), _scores(confirmed[b], metric)) for a, metric, b in pairs]
    corrected = dict(zip(pairs, holm([one.t_p for one in tests]), strict=True))
    found = dict(zip(pairs, tests, strict=True))
    yield "\n| setting | " + " | ".join(METRICS) + " | gradients | seconds |\n|" + "---|" * (3 + len(METRICS))
    for name, rows in confirmed.items():
        cells = []
        for metric in METRICS:
            mean, deviation = spread(_scores(rows, metric))
            notes = [
                f"{found[key].gain:+.1%} on {key[2]}, p {found[key].t_p:.3f} ({corrected[key]:.2f})"
                for key in pairs
                if key[:2] == (name, metric) and found[key].t_p is not None
            ]
            cells.append(f"{mean:.4f} ± {deviation:.4f} " + "; ".join(notes))
        spent = fmean(gradients(line) for line in rows)
        seconds = fmean(line["seconds"]["train_per_epoch"] * line["best_epoch"] for line in rows)
        yield f"| {name} | " + " | ".join(cells) + f" | {spent:.0f} | {seconds:.0f} |"


def gradients(line: Mapping[str, Any]) -> int:
    """Batch gradients up to the best epoch."""
    a_step = GRADIENTS.get(line["strategy"], 3 if line["strategy"].endswith("+") else 2)
    return int(a_step * line["steps"] * line["best_epoch"])


def _scores(rows: Sequence[Mapping[str, Any]], metric: str) -> list[float]:
    return [line["test"][metric] for line in sorted(rows, key=lambda line: int(line["seed"]))]


def main() -> None:
    """Screen, confirm or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("screen", "confirm", "report"))
    parser.add_argument("--config", type=Path)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument(
        "--only", default="", help="regular expression: rows whose name it finds, such as 'sam.* rho=3'"
    )
    parser.add_argument("--set", action="append", default=[], help="any setting, as for flatrec train")
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    if given.what == "report":
        for line in report(read(given.out)):
            sys.stdout.write(line + "\n")
        return
    base = experiment(given.experiment, given.set, data=given.data)
    rows = settings() if given.what == "screen" else [*RIVALS, *best(read(given.out))]
    rows = [one for one in rows if re.search(given.only, one.name) or one in RIVALS]
    run(rows, seeds, base, given.out)


if __name__ == "__main__":
    main()
