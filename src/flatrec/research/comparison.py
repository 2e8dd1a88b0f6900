"""The same model trained with several strategies over the same seeds, and tests of the differences."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flatrec.api import check_undivided, load_to_train, log_data_warnings, run_or_resume
from flatrec.config import DEFAULT_METRICS, Component, Experiment
from flatrec.data.dataset import Dataset
from flatrec.evaluation.metrics import higher_is_better
from flatrec.evaluation.significance import MIN_SEEDS, PairedTest, holm, paired_test, spread
from flatrec.models import BASELINES
from flatrec.registry.instantiate import build_strategy, config_class, strategy_names, with_defaults
from flatrec.registry.naming import import_named
from flatrec.research import comparison_display
from flatrec.research.reporting.study_result import Column, Table
from flatrec.runs import run_dir, selection
from flatrec.training import Callback
from flatrec.utils import user_classes
from flatrec.utils.atomic_write import write_text
from flatrec.utils.locks import lock_folder
from flatrec.utils.messages import shortlist

COMPARISON_FILE = "compare.json"
TESTED = ("recall", "ndcg")  # of the default metrics those that are tested, for every list length


@dataclass(frozen=True)
class MetricSummary:
    """One metric of one strategy over all seeds, on the test split.

    Args:
        mean: mean over seeds.
        deviation: sample standard deviation over seeds, 0 for one seed.
        values: one value per seed, in the order of the seeds.
        paired_test: test against the first strategy; None for the first itself and for metrics that are not tested.
        t_p_holm: p of the t-test, corrected for all tests in the comparison.
        wilcoxon_p_holm: p of Wilcoxon's test, corrected likewise.
    """

    mean: float
    deviation: float
    values: tuple[float, ...]
    paired_test: PairedTest | None = None
    t_p_holm: float | None = None
    wilcoxon_p_holm: float | None = None


@dataclass(frozen=True, repr=False)
class StrategyComparison:
    """Comparison of strategies that trained the same model over the same seeds.

    Args:
        data: name of the data set.
        model: name of the model.
        seeds: seeds, the same for every strategy.
        metrics: summaries by strategy, then by metric; the first strategy is the baseline.
        runs: run folders of each strategy, one per seed.
    """

    data: str
    model: str
    seeds: tuple[int, ...]
    metrics: Mapping[str, Mapping[str, MetricSummary]]
    runs: Mapping[str, tuple[Path, ...]]

    @property
    def baseline(self) -> str:
        """The strategy that the others are compared with."""
        return next(iter(self.metrics))

    def __repr__(self) -> str:
        return comparison_display.describe(self, tested_metrics(list(self.metrics[self.baseline])))

    def _repr_html_(self) -> str:
        metrics = tested_metrics(list(self.metrics[self.baseline]))
        return comparison_display.describe_html(self, metrics, comparison_table(self).note)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``compare.json`` holds."""
        return {
            "data": self.data,
            "model": self.model,
            "seeds": list(self.seeds),
            "number_of_seeds": len(self.seeds),
            "baseline": self.baseline,
            "correction": "Holm, over all tests in this file; the t-test and Wilcoxon's are two families",
            "strategies": {
                name: {metric: _flat(summary) for metric, summary in summaries.items()}
                for name, summaries in self.metrics.items()
            },
        }


def compare(
    experiment: Experiment,
    strategies: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    *,
    dataset: Dataset | None = None,
    overwrite: bool = False,
    callbacks: Callable[[str, int], Sequence[Callback]] = lambda _strategy, _seed: (),
) -> StrategyComparison:
    """Train every strategy with every seed, and compare the scores on the test split.

    Runs that an earlier call with the same settings finished are read, and those that it began go on. Settings of the
    experiment's strategy go to each strategy that has them.

    Args:
        experiment: settings that all runs share.
        strategies: names of strategies, or places of your own classes; the first is the baseline.
        seeds: seeds, the same for every strategy.
        out: folder for ``compare.json`` and one run folder per strategy and seed.
        dataset: the data; by default those that the experiment names.
        overwrite: train runs again that exist already.
        callbacks: returns the callbacks of the run of a strategy with a seed.

    Raises:
        ValueError: fewer than two strategies, one twice, an unknown one, no seed or one twice, a setting that no
            strategy has, a model that is not trained, or data without a test split.
            Also if ``out`` holds a run with other settings, and ``overwrite`` is not given.
        FileExistsError: another process compares in ``out``, or trains in one of its run folders.
    """
    if dataset is None:
        dataset = load_to_train(experiment.data, experiment.split)
    else:
        dataset = dataset.split_again(experiment.split)
        log_data_warnings(dataset)
    strategies = [import_named("strategy", name) for name in strategies]
    _check(strategies, seeds, experiment, dataset)
    labels = user_classes.labels(strategies, strategy_names())
    experiments = {labels[name]: with_defaults(_for_strategy(experiment, name, strategies)) for name in strategies}
    for of_strategy in experiments.values():
        build_strategy(of_strategy.strategy)  # errors show before the first run
    out.mkdir(parents=True, exist_ok=True)
    with lock_folder(out, "compares"):
        for path in (run_folder(out, name, seed) for name in experiments for seed in seeds) if overwrite else ():
            run_dir.clear(path)
        (out / COMPARISON_FILE).unlink(missing_ok=True)  # it would not belong to the runs that follow
        selection.log_warnings(selection.choice_warnings(next(iter(experiments.values())), dataset))
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in experiments}
        for seed in seeds:
            for name in experiments:
                seeded = experiments[name].replace(seed=seed)
                path = run_folder(out, name, seed)
                results[name].append(run_or_resume(path, seeded, dataset, callbacks(name, seed)))
        folders = {name: tuple(run_folder(out, name, seed) for seed in seeds) for name in experiments}
        comparison = summarize(results, folders)
        write_text(out / COMPARISON_FILE, json.dumps(comparison.as_dict(), indent=2, allow_nan=False) + "\n")
    return comparison


def run_folder(out: Path, strategy: str, seed: int) -> Path:
    """Return the run folder of a strategy and seed."""
    return out / strategy / f"seed-{seed}"


def summarize(
    results: Mapping[str, Sequence[Mapping[str, Any]]], runs: Mapping[str, tuple[Path, ...]]
) -> StrategyComparison:
    """Summarize and test the results of finished runs."""
    runs_of_all = [run["test"] for of_strategy in results.values() for run in of_strategy]
    metrics = [metric for metric in runs_of_all[0] if all(metric in scores for scores in runs_of_all)]
    values = {
        name: {metric: tuple(float(run["test"][metric]) for run in of_strategy) for metric in metrics}
        for name, of_strategy in results.items()
    }
    baseline = next(iter(values))
    tested = [(name, metric) for name in values for metric in tested_metrics(metrics) if name != baseline]
    tests = [
        paired_test(values[name][metric], values[baseline][metric], higher_is_better=higher_is_better(metric))
        for name, metric in tested
    ]
    t_p = holm([test.t_p for test in tests])
    wilcoxon_p = holm([test.wilcoxon_p for test in tests])
    test_of = dict(zip(tested, zip(tests, t_p, wilcoxon_p, strict=True), strict=True))
    summaries = {
        name: {
            metric: MetricSummary(*spread(scores), scores, *test_of.get((name, metric), (None, None, None)))
            for metric, scores in metrics.items()
        }
        for name, metrics in values.items()
    }
    first = results[baseline]
    model = user_classes.short(first[0]["model"])
    return StrategyComparison(first[0]["data"]["name"], model, tuple(run["seed"] for run in first), summaries, runs)


def tested_metrics(metrics: Sequence[str]) -> list[str]:
    """Return which metrics are tested: recall and NDCG of the default ones; all where others were chosen."""
    names = {metric.partition("@")[0] for metric in metrics}
    chosen = not names <= set(DEFAULT_METRICS) or not names & set(TESTED)
    return [metric for metric in metrics if chosen or metric.partition("@")[0] in TESTED]


def comparison_table(comparison: StrategyComparison) -> Table:
    """Make a table of the tested metrics: mean ± deviation, gain over the baseline, corrected p of both tests."""
    metrics = tested_metrics(list(comparison.metrics[comparison.baseline]))
    rows = tuple(
        (metric, *(_cell_text(summaries[metric]) for summaries in comparison.metrics.values())) for metric in metrics
    )
    seeds = ", ".join(map(str, comparison.seeds))
    note = (
        f"Mean ± deviation; gain over {comparison.baseline}; p of the paired t-test and of Wilcoxon's test, corrected "
        "by Holm over this table."
    )
    if lower := sorted({name.partition("@")[0] for name in metrics if not higher_is_better(name)}):
        note += f" Lower is better in {', '.join(lower)}: a gain there is by how much the mean fell."
    few = "" if len(comparison.seeds) >= MIN_SEEDS else f" Fewer than {MIN_SEEDS} seeds are not a result."
    return Table(
        "compare",
        f"{comparison.model} on {comparison.data}, test split, seeds {seeds}",
        tuple(map(Column, ("metric", *comparison.metrics))),
        rows,
        note + few,
    )


def _for_strategy(experiment: Experiment, name: str, strategies: Sequence[str]) -> Experiment:
    options = {
        key: value
        for key, value in experiment.strategy.options.items()
        if key in config_class("strategy", name).model_fields
        or not any(key in config_class("strategy", other).model_fields for other in strategies)
    }
    return experiment.replace(strategy=Component(name, options))


def _check(strategies: Sequence[str], seeds: Sequence[int], experiment: Experiment, dataset: Dataset) -> None:
    if experiment.model.name in BASELINES:
        raise ValueError(f"{experiment.model.name} is not trained, so strategies do not matter to it; choose a model")
    check_undivided(dataset)
    if not dataset.interactions.count("test"):
        raise ValueError(
            f"the test split of {dataset.name!r} has no interaction, so nothing can be compared; split the data again"
        )
    if len(strategies) < 2 or len(set(strategies)) < len(strategies):
        raise ValueError(
            f"a comparison needs at least two different strategies, but got {', '.join(strategies) or 'none'}; "
            f"there are {shortlist(strategy_names())}"
        )
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"a comparison needs different seeds, at least one, but got {list(seeds)}")


def _cell_text(summary: MetricSummary) -> str:
    text = f"{summary.mean:.4f} ± {summary.deviation:.4f}"
    if summary.paired_test is None:
        return text
    gain = "" if summary.paired_test.gain is None else f"\n{summary.paired_test.gain:+.1%}"
    p_values = "/".join("-" if p is None else f"{p:.3f}" for p in (summary.t_p_holm, summary.wilcoxon_p_holm))
    return f"{text}{gain}  p {p_values}"


def _flat(summary: MetricSummary) -> dict[str, Any]:
    flat = asdict(summary)
    tested: dict[str, Any] | None = flat.pop("paired_test")
    if tested is None:
        return {key: flat[key] for key in ("mean", "deviation", "values")}
    return {**flat, **tested}
