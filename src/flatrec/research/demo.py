"""The demo: it builds a shop, compares strategies on it, and writes a page that shows the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from flatrec import __version__
from flatrec.api import load_run, run_experiment
from flatrec.config import Component, Evaluation, Experiment, Option, Training
from flatrec.content.shop_features import ENCODER_NOTES, Encoders, choose_encoders, encode_shop
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import SPLITS
from flatrec.data.loading import load_data
from flatrec.data.shop import ShopSettings, generate, write
from flatrec.evaluation import rank, seen_mask
from flatrec.inference.answers import Recommendation
from flatrec.inference.run import Run
from flatrec.research.comparison import MetricSummary, StrategyComparison, compare
from flatrec.research.reporting.demo_page import DataFacts, DemoReport, Measurement, ReportItem, ReportUser, render
from flatrec.research.reporting.figures import Curve
from flatrec.runs.selection import monitored
from flatrec.training import Callback, EpochRecord
from flatrec.training.records import read_lines
from flatrec.training.trainer import RECORDS
from flatrec.utils.atomic_write import write_text

SHOP, RUNS, BASELINES, PAGE = "shop", "runs", "baselines", "report.html"
HELD_OUT_SPLITS: tuple[Literal["test", "valid"], ...] = ("test", "valid")
SHOWN_METRICS = ("recall@10", "ndcg@10", "recall@20", "ndcg@20")
HEADLINE = SHOWN_METRICS[0]
MIN_PURCHASES = 8  # purchases to learn from that a shown user should have
MIN_HELD_OUT = 2  # held-out purchases that a shown user should have

Callbacks = Callable[[str, int], Sequence[Callback]]


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Settings of the demo, which by default takes a minute on one core, and two with real encoders the first time.

    Args:
        shop: the shop to generate.
        encoders: ``real`` for those of the extra ``encode``, ``shop`` for the shop's own, ``auto`` for the real ones
            where they can be loaded.
        strategies: strategies to compare; the first is the baseline, the last one recommends.
        seeds: seeds of each strategy.
        baselines: baselines to compare the strategies with.
        training: training settings of every run.
        optimizer: settings of Adam. With the default learning rate of 0.001, runs have not converged on the shop after
            150 epochs.
        n_users: number of users that are shown.
        k: length of their lists.
    """

    shop: ShopSettings = ShopSettings()
    encoders: Encoders = "auto"
    strategies: tuple[str, ...] = ("plain", "bsam", "bsam+")
    seeds: tuple[int, ...] = (0, 1)
    baselines: tuple[str, ...] = ("popularity", "item-knn")
    training: Training = Training(epochs=120, checkpoint_every=10)
    optimizer: Mapping[str, Option] = field(default_factory=lambda: {"lr": 0.005})
    n_users: int = 3
    k: int = 10

    @classmethod
    def quick(cls, encoders: Encoders = "auto") -> DemoSettings:
        """Return the settings of a demo of half a minute, with a smaller shop, fewer epochs and two strategies.

        Args:
            encoders: as in the settings, but ``auto`` is ``shop`` here, since real encoders take most of a minute.
        """
        return cls(
            shop=ShopSettings(users=1000, items=400),
            encoders="shop" if encoders == "auto" else encoders,
            strategies=("plain", "bsam+"),
            training=Training(epochs=60, checkpoint_every=10),
        )


@dataclass(frozen=True)
class DemoResult:
    """Result of the demo.

    Args:
        comparison: comparison of the strategies, with the run folders.
        baselines: test metrics by name of the baseline.
        recommendations: recommendations for a few users, by original id, as ``flatrec recommend`` gives them.
        source: run folder that the recommendations are from.
        report: path of the page.
    """

    comparison: StrategyComparison
    baselines: Mapping[str, Mapping[str, float]]
    recommendations: Mapping[str, tuple[Recommendation, ...]]
    source: Path
    report: Path


def run_demo(
    out: Path,
    *,
    overwrite: bool = False,
    announce: Callable[[str], None] = lambda _: None,
    callbacks: Callbacks = lambda _strategy, _seed: (),
    settings: DemoSettings | None = None,
) -> DemoResult:
    """Build a shop, train, compare, recommend, and write the page.

    Args:
        out: folder for ``shop``, ``baselines``, ``runs`` and, last of all, ``report.html``.
        overwrite: replace an earlier demo in ``out``; other files there stay.
        announce: called with a line that says what happens next.
        callbacks: returns the callbacks of the run of a strategy with a seed.
        settings: settings of the demo.

    Raises:
        FileExistsError: ``out`` holds a demo and ``overwrite`` is not given, or ``out/shop`` holds other files.
        ImportError: real encoders are asked for and not installed.
        OSError: ``out`` cannot be written to.
        ValueError: real encoders are asked for and cannot be loaded, or the shop has no images.
    """
    settings = settings or DemoSettings()
    existing = next((name for name in (PAGE, RUNS, BASELINES, SHOP) if (out / name).exists()), None)
    if existing is not None and not overwrite:
        raise FileExistsError(
            f"{out} already holds a demo ({existing}); replace it (--overwrite) or choose another folder"
        )
    dataset, settings = _build_shop(out, settings, announce)
    (out / PAGE).unlink(missing_ok=True)  # it would not belong to the runs that follow
    experiment = _experiment(dataset, settings)
    announce(f"Scoring the baselines {' and '.join(settings.baselines)}")
    baselines = {name: _score(out / BASELINES / name, name, experiment, dataset) for name in settings.baselines}
    names = ", ".join(settings.strategies)
    announce(f"Comparing {names} on {experiment.model.name.upper()}, {len(settings.seeds)} seeds each")
    comparison = compare(
        experiment,
        settings.strategies,
        settings.seeds,
        out / RUNS,
        dataset=dataset,
        overwrite=True,
        callbacks=callbacks,
    )
    source = comparison.runs[settings.strategies[-1]][0]
    announce(f"Recommending with {settings.strategies[-1]} and writing {out / PAGE}")
    run = load_run(source)
    users = _choose_users(dataset, settings.n_users)
    write_text(out / PAGE, render(_report(comparison, baselines, run, users, settings=settings)))
    lists = run.recommend([dataset.users[user] for user in users], settings.k)
    recommendations = {dataset.users[user]: tuple(items) for user, items in zip(users, lists, strict=True)}
    return DemoResult(comparison, baselines, recommendations, source, out / PAGE)


def _build_shop(out: Path, settings: DemoSettings, announce: Callable[[str], None]) -> tuple[Dataset, DemoSettings]:
    """Write the shop and read it; the settings then say which encoders made its features."""
    with_images = ", every item with an image and a text" if settings.shop.images else ""
    announce(f"Building a shop: {settings.shop.users:,} users, {settings.shop.items:,} items{with_images}")
    encoders, reason = choose_encoders(settings.encoders, images=settings.shop.images)
    write(generate(settings.shop), out / SHOP, overwrite=True)
    settings = replace(settings, encoders="shop" if encoders is None else "real")
    announce(f"Features: {ENCODER_NOTES[settings.encoders]}" + (f" ({reason})" if reason else ""))
    if encoders is not None:
        encode_shop(out / SHOP, encoders)
    return load_data(out / SHOP), settings


def _experiment(dataset: Dataset, settings: DemoSettings) -> Experiment:
    """Return the settings of every run; what the demo does not state does not follow the defaults of the model."""
    return Experiment(
        data=dataset.source or dataset.name,
        model=Component("freedom"),
        optimizer=Component("adam", dict(settings.optimizer)),
        training=settings.training.replace(save_recommender="always"),  # flatrec serve needs them
        evaluation=Evaluation(),
        device="cpu",
    ).completed()


def _score(out: Path, name: str, experiment: Experiment, dataset: Dataset) -> Mapping[str, float]:
    baseline = Experiment(data=experiment.data, model=Component(name), device=experiment.device)
    metrics: Mapping[str, float] = run_experiment(baseline, dataset, out, overwrite=True).result["test"]
    return metrics


def _choose_users(dataset: Dataset, count: int) -> list[int]:
    """Return the first users with enough purchases to show, whatever is recommended to them; then those with fewer."""
    counts = {
        split: np.bincount(dataset.interactions.indices(split)[0], minlength=dataset.n_users)
        for split in ("train", "test")
    }
    enough = (-np.minimum(counts["train"], MIN_PURCHASES), -np.minimum(counts["test"], MIN_HELD_OUT))
    return [int(user) for user in np.lexsort((np.arange(dataset.n_users), *enough))[:count]]


def _report(
    comparison: StrategyComparison,
    baselines: Mapping[str, Mapping[str, float]],
    run: Run,
    users: list[int],
    *,
    settings: DemoSettings,
) -> DemoReport:
    interactions = run.dataset.interactions
    monitor = monitored(_experiment(run.dataset, settings), run.dataset).metric
    return DemoReport(
        title="Flat minima put to the test, on the demo shop",
        data=DataFacts(
            comparison.data,
            interactions.n_users,
            interactions.n_items,
            len(interactions),
            {split: interactions.count(split) for split in SPLITS},
        ),
        model=comparison.model.upper(),
        n_seeds=len(comparison.seeds),
        strategies={
            name: {metric: _measurement(summaries[metric]) for metric in SHOWN_METRICS}
            for name, summaries in comparison.metrics.items()
        },
        headline=HEADLINE,
        curves=_curves(comparison, lambda record: record.valid.get(monitor)),
        monitor=monitor,
        losses=_curves(comparison, lambda record: record.loss),
        baselines={name: {metric: metrics[metric] for metric in SHOWN_METRICS} for name, metrics in baselines.items()},
        users=tuple(_report_user(run, user, settings.k) for user in users),
        source=f"{settings.strategies[-1]}, seed {comparison.seeds[0]}",
        choice=f"The users are not chosen by result: they are the first with at least {MIN_PURCHASES} purchases "
        f"in training and {MIN_HELD_OUT} in the test split, or the closest to that.",
        settings=_settings(comparison, settings, monitor),
    )


def _measurement(summary: MetricSummary) -> Measurement:
    gain = summary.paired_test.gain if summary.paired_test else None
    return Measurement(summary.mean, summary.deviation, gain, summary.t_p_holm)


def _curves(comparison: StrategyComparison, value: Callable[[EpochRecord], float | None]) -> tuple[Curve, ...]:
    """Return a value of every epoch that has it, from the records of the runs."""
    curves = []
    for name, folders in comparison.runs.items():
        runs = []
        for folder in folders:
            points = ((record.epoch, value(record)) for record in read_lines(folder / RECORDS))
            runs.append({epoch: point for epoch, point in points if point is not None})
        curves.append(Curve(name, tuple(runs)))
    return tuple(curves)


def _report_user(run: Run, user: int, k: int) -> ReportUser:
    """Return a user's purchases and list, ranked as in the test, so that held-out purchases can be in it."""
    interactions = run.dataset.interactions
    bought = {split: interactions.matrix(split)[[user]].indices.tolist() for split in SPLITS}
    ranking = rank(run.scorer(), torch.tensor([user]), interactions.n_items, seen_mask(interactions, "test", "train"))
    items, scores = ranking.items[0].tolist(), ranking.scores[0].tolist()

    def ranked(index: int) -> ReportItem:
        split = next((split for split in HELD_OUT_SPLITS if items[index] in bought[split]), None)
        item = _report_item(run.dataset, items[index])
        return replace(item, score=scores[index], rank=index + 1, held_out=split)

    n_ranked = len(items) - items.count(-1)
    return ReportUser(
        user=run.dataset.users[user],
        bought=tuple(_report_item(run.dataset, item) for item in bought["train"][:k]),
        held_out=tuple(ranked(index) for index in range(n_ranked) if items[index] in bought["test"]),
        recommended=tuple(ranked(index) for index in range(min(k, n_ranked))),
        n_unshown=max(0, len(bought["train"]) - k),
    )


def _report_item(dataset: Dataset, item: int) -> ReportItem:
    image = dataset.images[item] if dataset.images else None
    title = dataset.titles[item] if dataset.titles else dataset.items[item]
    return ReportItem(title, image.read_bytes() if image else None)


def _settings(comparison: StrategyComparison, settings: DemoSettings, monitor: str) -> dict[str, str]:
    training = settings.training
    return {
        "Program": f"flatrec {__version__}",
        "Data": f"the built-in shop, seed {settings.shop.seed}; its users, purchases and images are generated",
        "Features": ENCODER_NOTES[settings.encoders],
        "Model": comparison.model.upper(),
        "Strategies": ", ".join(settings.strategies) + ", with their default settings",
        "Seeds": ", ".join(str(seed) for seed in comparison.seeds),
        "Optimizer": "Adam, " + ", ".join(f"{name} {value}" for name, value in settings.optimizer.items()),
        "Training": f"at most {training.epochs} epochs of batches of {training.batch_size}; a run stops after "
        f"{training.patience} evaluations without a better {monitor} on the validation split",
    }
