"""The same model trained with several strategies over the same seeds, and what the difference is worth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flatrec.api import run_or_resume
from flatrec.config import Component, Experiment
from flatrec.data.dataset import Dataset
from flatrec.evaluation.significance import holm, spread
from flatrec.models import BASELINES
from flatrec.registry.instantiate import build_strategy, strategy_names, strategy_options, with_defaults
from flatrec.registry.naming import import_named
from flatrec.runs import run_dir, selection
from flatrec.training import Callback
from flatrec.utils import user_classes
from flatrec.utils.atomic_write import write_text
from flatrec.utils.locks import held
from flatrec.utils.messages import shortlist

COMPARISON = "compare.json"
TESTED = ("recall", "ndcg")  # the metrics that p values are given for, at every cut


@dataclass(frozen=True)
class Cell:
    """One metric of one strategy over all seeds, on the test part.

    Args:
        mean: over seeds.
        deviation: sample standard deviation over seeds, 0 for one seed.
        values: one a seed, in the order of the seeds.
        comparison: against the first strategy; None for the first itself and for metrics that are not tested.
        t_p_holm: the t-test's p, corrected for all tests in the comparison.
        wilcoxon_p_holm: the same for Wilcoxon's.
    """

    mean: float
    deviation: float
    values: tuple[float, ...]
    comparison: Comparison | None = None
    t_p_holm: float | None = None
    wilcoxon_p_holm: float | None = None


@dataclass(frozen=True)
class Table:
    """A comparison of strategies: cells by strategy and metric.

    Args:
        data: name of the data set.
        model: name of the model.
        seeds: the seeds, the same for every strategy.
        cells: by strategy, then by metric; the first strategy is the baseline.
        runs: the run folder of each strategy and seed.
    """

    data: str
    model: str
    seeds: tuple[int, ...]
    cells: Mapping[str, Mapping[str, Cell]]
    runs: Mapping[str, tuple[Path, ...]]

    @property
    def baseline(self) -> str:
        """The strategy that the others are compared with."""
        return next(iter(self.cells))

    def as_dict(self) -> dict[str, Any]:
        """As ``compare.json`` has it."""
        return {
            "data": self.data,
            "model": self.model,
            "seeds": list(self.seeds),
            "number_of_seeds": len(self.seeds),
            "baseline": self.baseline,
            "correction": "Holm, over all tests in this file; the t-test and Wilcoxon's are two families",
            "strategies": {
                name: {metric: _flat(cell) for metric, cell in cells.items()} for name, cells in self.cells.items()
            },
        }


def compare_strategies(
    experiment: Experiment,
    strategies: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    *,
    dataset: Dataset,
    overwrite: bool = False,
    on_run: Callable[[str, int], Sequence[Callback]] = lambda _strategy, _seed: (),
) -> Table:
    """Train every strategy with every seed, or take up what an earlier call left, and compare on the test part.

    Settings given for the experiment's strategy go to each strategy that knows them.

    Args:
        experiment: the settings that all runs share.
        strategies: names, or places of classes of your own; the first is the baseline.
        seeds: the same for every strategy.
        out: one run folder a strategy and seed, and ``compare.json``.
        dataset: the data.
        overwrite: train again what is there.
        on_run: who hears of the progress of a run.

    Raises:
        ValueError: fewer than two strategies, one twice, an unknown one, no seed or one twice, a setting that no
            strategy knows, a model that is not trained, or data without a test part.
            Or ``out`` holds a run with other settings, and ``overwrite`` is not given.
        FileExistsError: another process compares there, or trains in one of the folders.
    """
    strategies = [import_named("strategy", name) for name in strategies]
    _check(strategies, seeds, experiment, dataset)
    labels = user_classes.labels(strategies, strategy_names())
    experiments = {labels[name]: _for_strategy(experiment, name, strategies) for name in strategies}
    for one in experiments.values():
        build_strategy(with_defaults(one).strategy)  # every mistake shows before the first run
    out.mkdir(parents=True, exist_ok=True)
    with held(out, "compares"):
        for path in (run_folder(out, name, seed) for name in experiments for seed in seeds) if overwrite else ():
            run_dir.clear(path)
        (out / COMPARISON).unlink(missing_ok=True)  # it would not be that of the runs that follow
        selection.warn(selection.remarks(experiment, dataset))
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in experiments}
        for seed in seeds:
            for name in experiments:
                one = replace(experiments[name], seed=seed)
                path = run_folder(out, name, seed)
                results[name].append(run_or_resume(path, one, dataset, on_run(name, seed)))
        table = tabulate(results, {name: tuple(run_folder(out, name, seed) for seed in seeds) for name in experiments})
        write_text(out / COMPARISON, json.dumps(table.as_dict(), indent=2, allow_nan=False) + "\n")
    return table


def run_folder(out: Path, strategy: str, seed: int) -> Path:
    """Where a run of a comparison goes."""
    return out / strategy / f"seed-{seed}"


def tabulate(results: Mapping[str, Sequence[Mapping[str, Any]]], runs: Mapping[str, tuple[Path, ...]]) -> Table:
    """The table of finished runs, tests and corrections included."""
    values = {
        name: {metric: tuple(float(one["test"][metric]) for one in these) for metric in these[0]["test"]}
        for name, these in results.items()
    }
    baseline = next(iter(values))
    tested = [
        (name, metric)
        for name in values
        for metric in values[name]
        if name != baseline and metric.split("@")[0] in TESTED
    ]
    comparisons = [compare(values[name][metric], values[baseline][metric]) for name, metric in tested]
    t_p = holm([one.t_p for one in comparisons])
    wilcoxon_p = holm([one.wilcoxon_p for one in comparisons])
    extras = dict(zip(tested, zip(comparisons, t_p, wilcoxon_p, strict=True), strict=True))
    cells = {
        name: {
            metric: Cell(*spread(these), these, *extras.get((name, metric), (None, None, None)))
            for metric, these in metrics.items()
        }
        for name, metrics in values.items()
    }
    first = results[baseline]
    model = user_classes.short(first[0]["model"])
    return Table(first[0]["data"]["name"], model, tuple(one["seed"] for one in first), cells, runs)


def _for_strategy(experiment: Experiment, name: str, strategies: Sequence[str]) -> Experiment:
    options = {
        key: value
        for key, value in experiment.strategy.options.items()
        if key in strategy_options(name) or not any(key in strategy_options(other) for other in strategies)
    }
    return replace(experiment, strategy=Component(name, options))


def _check(strategies: Sequence[str], seeds: Sequence[int], experiment: Experiment, dataset: Dataset) -> None:
    if experiment.model.name in BASELINES:
        raise ValueError(f"{experiment.model.name} is not trained, so strategies do not matter to it; choose a model")
    if not dataset.interactions.count("test"):
        raise ValueError(f"the test part of {dataset.name!r} has no pair, so there is nothing to compare; split again")
    if len(strategies) < 2 or len(set(strategies)) < len(strategies):
        raise ValueError(
            f"a comparison needs at least two different strategies, but got {', '.join(strategies) or 'none'}; "
            f"there are {shortlist(strategy_names())}"
        )
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"a comparison needs different seeds, at least one, but got {list(seeds)}")


def _flat(cell: Cell) -> dict[str, Any]:
    flat = asdict(cell)
    comparison: dict[str, Any] | None = flat.pop("comparison")
    if comparison is None:
        return {key: flat[key] for key in ("mean", "deviation", "values")}
    return {**flat, **comparison}
