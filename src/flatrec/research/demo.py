"""The demo: a shop is built, strategies are compared on it, and a page shows what came out."""

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
from flatrec.content.shop_features import MADE_BY, Encoders, choose, encode_shop
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import SPLITS
from flatrec.data.loading import load_data
from flatrec.data.shop import ShopSettings, generate, write
from flatrec.evaluation import rank, seen_mask
from flatrec.inference.run import Recommendation, Run
from flatrec.research.comparison import Cell, Table, compare_strategies
from flatrec.research.reporting.demo_page import DataFacts, Measurement, Product, Report, Shopper, render
from flatrec.research.reporting.figures import Curve
from flatrec.runs.selection import monitored
from flatrec.training import Callback, EpochRecord
from flatrec.training.records import read_lines
from flatrec.training.trainer import RECORDS
from flatrec.utils.atomic_write import write_text

SHOP, RUNS, BASELINES, PAGE = "shop", "runs", "baselines", "report.html"
HIDDEN: tuple[Literal["test", "valid"], ...] = ("test", "valid")  # not learned from
SHOWN = ("recall@10", "ndcg@10", "recall@20", "ndcg@20")
HEADLINE = SHOWN[0]
PURCHASES = 8  # a user shown should have so many to learn from, and
HELD_OUT = 2  # so many in the test part

Observers = Callable[[str, int], Sequence[Callback]]


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """What the demo does; by default under a minute on one core, with real encoders about two the first time.

    Args:
        shop: what to generate.
        encoders: ``real`` are those of the extra ``encode``, ``shop`` its own, ``auto`` the real ones where they load.
        strategies: to compare; the first is the baseline, the last one recommends.
        seeds: of each strategy.
        baselines: to compare them with.
        training: of every run.
        optimizer: settings of Adam. Its own default rate of 0.001 has not converged on the shop after 150 epochs.
        users: how many are shown.
        length: of their lists.
    """

    shop: ShopSettings = ShopSettings()
    encoders: Encoders = "auto"
    strategies: tuple[str, ...] = ("plain", "bsam", "bsam+")
    seeds: tuple[int, ...] = (0, 1)
    baselines: tuple[str, ...] = ("popularity", "item-knn")
    training: Training = Training(epochs=120, checkpoint_every=10)
    optimizer: Mapping[str, Option] = field(default_factory=lambda: {"lr": 0.005})
    users: int = 3
    length: int = 10


@dataclass(frozen=True)
class Demo:
    """What came out.

    Args:
        table: the comparison, with the run folders.
        baselines: test metrics by name.
        recommendations: new items for a few users, by original id, as ``flatrec recommend`` gives them.
        source: the run folder that they are from.
        report: the page.
    """

    table: Table
    baselines: Mapping[str, Mapping[str, float]]
    recommendations: Mapping[str, tuple[Recommendation, ...]]
    source: Path
    report: Path


def run_demo(
    out: Path,
    *,
    overwrite: bool = False,
    announce: Callable[[str], None] = lambda _: None,
    callbacks: Observers = lambda _strategy, _seed: (),
    settings: DemoSettings | None = None,
) -> Demo:
    """Build a shop, train, compare, recommend, and write the page.

    Args:
        out: gets ``shop``, ``baselines``, ``runs`` and, last of all and in one piece, ``report.html``.
        overwrite: replace an earlier demo in ``out``; other files there stay.
        announce: is told what happens next, a line at a time.
        callbacks: objects that are told of the progress of a strategy's run with a seed.
        settings: by default those of the demo.

    Raises:
        FileExistsError: ``out`` holds a demo and ``overwrite`` is not given, or ``out/shop`` holds foreign files.
        ImportError: real encoders are asked for and not installed.
        OSError: ``out`` cannot be written to.
        ValueError: real encoders are asked for and cannot be loaded, or the shop has no images.
    """
    settings = settings or DemoSettings()
    held = next((name for name in (PAGE, RUNS, BASELINES, SHOP) if (out / name).exists()), None)
    if held is not None and not overwrite:
        raise FileExistsError(f"{out} already holds a demo ({held}); replace it (--overwrite) or choose another folder")
    dataset, settings = _build_shop(out, settings, announce)
    (out / PAGE).unlink(missing_ok=True)  # it would not belong to what follows
    experiment = _experiment(dataset, settings)
    announce(f"Scoring the baselines {' and '.join(settings.baselines)}")
    baselines = {name: _score(out / BASELINES / name, name, experiment, dataset) for name in settings.baselines}
    names = ", ".join(settings.strategies)
    announce(f"Comparing {names} on {experiment.model.name.upper()}, {len(settings.seeds)} seeds each")
    table = compare_strategies(
        experiment,
        settings.strategies,
        settings.seeds,
        out / RUNS,
        dataset=dataset,
        overwrite=True,
        on_run=callbacks,
    )
    source = table.runs[settings.strategies[-1]][0]
    announce(f"Recommending with {settings.strategies[-1]} and writing {out / PAGE}")
    run = load_run(source)
    users = _choose(dataset, settings.users)
    write_text(out / PAGE, render(_report(table, baselines, run, users, settings=settings)))
    lists = run.recommend([dataset.users[user] for user in users], settings.length)
    recommendations = {dataset.users[user]: tuple(items) for user, items in zip(users, lists, strict=True)}
    return Demo(table, baselines, recommendations, source, out / PAGE)


def _build_shop(out: Path, settings: DemoSettings, announce: Callable[[str], None]) -> tuple[Dataset, DemoSettings]:
    """The shop as it was written and read, and settings that say which encoders made its features."""
    drawn = ", every item with an image and a text" if settings.shop.images else ""
    announce(f"Building a shop: {settings.shop.users:,} users, {settings.shop.items:,} items{drawn}")
    encoders, reason = choose(settings.encoders, images=settings.shop.images)
    write(generate(settings.shop), out / SHOP, overwrite=True)
    settings = replace(settings, encoders="shop" if encoders is None else "real")
    announce(f"Features: {MADE_BY[settings.encoders]}" + (f" ({reason})" if reason else ""))
    if encoders is not None:
        encode_shop(out / SHOP, encoders)
    return load_data(out / SHOP), settings


def _experiment(dataset: Dataset, settings: DemoSettings) -> Experiment:
    return Experiment(
        data=dataset.source or dataset.name,
        optimizer=Component("adam", dict(settings.optimizer)),
        training=settings.training,
        evaluation=Evaluation(),
        device="cpu",
    )


def _score(out: Path, name: str, experiment: Experiment, dataset: Dataset) -> Mapping[str, float]:
    baseline = Experiment(data=experiment.data, model=Component(name), device=experiment.device)
    metrics: Mapping[str, float] = run_experiment(baseline, dataset, out, overwrite=True).result["test"]
    return metrics


def _choose(dataset: Dataset, count: int) -> list[int]:
    """The first users with enough purchases to show, never by what is recommended; then those with fewer."""
    numbers = {
        part: np.bincount(dataset.interactions.indices(part)[0], minlength=dataset.n_users)
        for part in ("train", "test")
    }
    enough = (-np.minimum(numbers["train"], PURCHASES), -np.minimum(numbers["test"], HELD_OUT))
    return [int(user) for user in np.lexsort((np.arange(dataset.n_users), *enough))[:count]]


def _report(
    table: Table, baselines: Mapping[str, Mapping[str, float]], run: Run, users: list[int], *, settings: DemoSettings
) -> Report:
    pairs = run.dataset.interactions
    monitor = monitored(_experiment(run.dataset, settings), run.dataset).metric
    return Report(
        title="Flat minima put to the test, on the demo shop",
        data=DataFacts(
            table.data, pairs.n_users, pairs.n_items, len(pairs), {part: pairs.count(part) for part in SPLITS}
        ),
        model=table.model.upper(),
        seeds=len(table.seeds),
        strategies={
            name: {metric: _measurement(cells[metric]) for metric in SHOWN} for name, cells in table.cells.items()
        },
        headline=HEADLINE,
        curves=_curves(table, lambda record: record.valid.get(monitor)),
        monitor=monitor,
        losses=_curves(table, lambda record: record.loss),
        baselines={name: {metric: metrics[metric] for metric in SHOWN} for name, metrics in baselines.items()},
        shoppers=tuple(_shopper(run, user, settings.length) for user in users),
        source=f"{settings.strategies[-1]}, seed {table.seeds[0]}",
        choice=f"The users are not picked by result: they are the first with at least {PURCHASES} purchases to learn "
        f"from and {HELD_OUT} in the test part, or as near to that as there are.",
        settings=_settings(table, settings, monitor),
    )


def _measurement(cell: Cell) -> Measurement:
    gain = cell.comparison.gain if cell.comparison else None
    return Measurement(cell.mean, cell.deviation, gain, cell.t_p_holm)


def _curves(table: Table, value: Callable[[EpochRecord], float | None]) -> tuple[Curve, ...]:
    """A quantity of every epoch that has it, from the lines that the runs left."""
    curves = []
    for name, folders in table.runs.items():
        runs = []
        for folder in folders:
            points = ((record.epoch, value(record)) for record in read_lines(folder / RECORDS))
            runs.append({epoch: point for epoch, point in points if point is not None})
        curves.append(Curve(name, tuple(runs)))
    return tuple(curves)


def _shopper(run: Run, user: int, length: int) -> Shopper:
    """A user's purchases and list, ranked as in the test, so that held-out purchases can be in it."""
    pairs = run.dataset.interactions
    bought = {part: pairs.matrix(part)[[user]].indices.tolist() for part in SPLITS}
    ranking = rank(run.scorer(), torch.tensor([user]), pairs.n_items, seen_mask(pairs, "test", "train"))
    items, scores = ranking.items[0].tolist(), ranking.scores[0].tolist()

    def ranked(place: int) -> Product:
        part = next((part for part in HIDDEN if items[place] in bought[part]), None)
        return replace(_product(run.dataset, items[place]), score=scores[place], place=place + 1, held_out=part)

    n_ranked = len(items) - items.count(-1)
    return Shopper(
        user=run.dataset.users[user],
        bought=tuple(_product(run.dataset, item) for item in bought["train"][:length]),
        held_out=tuple(ranked(place) for place in range(n_ranked) if items[place] in bought["test"]),
        recommended=tuple(ranked(place) for place in range(min(length, n_ranked))),
        unshown=max(0, len(bought["train"]) - length),
    )


def _product(dataset: Dataset, item: int) -> Product:
    image = dataset.images[item] if dataset.images else None
    title = dataset.titles[item] if dataset.titles else dataset.items[item]
    return Product(title, image.read_bytes() if image else None)


def _settings(table: Table, settings: DemoSettings, monitor: str) -> dict[str, str]:
    training = settings.training
    return {
        "Program": f"flatrec {__version__}",
        "Data": f"the built-in shop, seed {settings.shop.seed}; its users, purchases and images are generated",
        "Features": MADE_BY[settings.encoders],
        "Model": table.model.upper(),
        "Strategies": ", ".join(settings.strategies) + ", with their default settings",
        "Seeds": ", ".join(str(seed) for seed in table.seeds),
        "Optimizer": "Adam, " + ", ".join(f"{name} {value}" for name, value in settings.optimizer.items()),
        "Length": f"at most {training.epochs} epochs of batches of {training.batch_size}; a run stops after "
        f"{training.patience} evaluations without a better {monitor} on the validation part",
    }
