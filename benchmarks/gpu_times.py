"""How fast a device is, and how much memory it takes: the times of ``gpu.py``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from gpu_setting import BATCH_SIZE, Epochs, Row, Setting, each, with_strategies
from random_pairs import random_dataset
from scipy import sparse

from flatrec.config import Component
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.evaluation.ranking import inner_product, rank
from flatrec.models import Model
from flatrec.registry.instantiate import build_model
from flatrec.sampling.sampler import Sampler

AGAINST = ("lightgcn", "freedom", "lgmrec", "mmgcn")  # models that are compared with those of MMRec
AT_LEAST = 5.0  # how many times as fast as theirs an epoch on a GPU is to be
WITH_GROUPS = ("aligngroup",)  # refuses data without groups
WARM_UP, TIMED = 3, 7  # steps; at small size one of each
ROUNDS = 3  # at small size one
SCALE = 40  # times as small as Baby


def steps(setting: Setting) -> Iterator[Row]:
    """Time the beginning of an epoch and steps at the size of Baby, or less, and measure their memory."""
    dataset = like_baby(setting)
    cases = with_strategies(name for name in setting.names if name not in WITH_GROUPS)
    yield from each(setting, cases, partial(_step, setting, (dataset, sampler_of(dataset, setting)), {}))


def _step(
    setting: Setting, data: tuple[Dataset, Sampler], models: dict[str, Model], *, model: str, strategy: str
) -> Mapping[str, object]:
    """Times and memory; the model is built once for all strategies."""
    dataset, sampler = data
    if model not in models:
        models.clear()
        models[model] = built(Component(model), dataset, setting)
    setting.begin_peak()
    epochs = Epochs(models[model], strategy, sampler)
    warm_up, timed = (1, 1) if setting.small else (WARM_UP, TIMED)
    times = [setting.milliseconds(epochs.step) for _ in range(warm_up + timed)][warm_up:]
    begin = 1000 * setting.seconds(epochs.begin)
    return {"step ms": round(median(times), 2), "epoch start ms": round(begin, 2), "peak MB": setting.peak_mb()}


def incumbent(setting: Setting) -> Iterator[Row]:
    """Compare an epoch, in turn, with one of MMRec's own loader, model and trainer on the same device and data."""
    if setting.mmrec is None:
        yield {"skipped": "no clone of MMRec; name it by --mmrec"}
        return
    if setting.device.type == "cuda" and (setting.device.index or 0) > 0:
        yield {"skipped": "MMRec takes the first GPU alone; choose --device cuda"}
        return
    pairs, mmrec = importlib.import_module("incumbents"), importlib.import_module("mmrec")
    dataset = like_baby(setting)
    with TemporaryDirectory() as folder:
        mmrec.write(dataset, Path(folder) / "baby")
        where = dataset, Path(folder) / "baby", setting
        yield from each(setting, [{"model": name} for name in AGAINST], partial(against, pairs, mmrec, where))


def against(pairs: Any, mmrec: Any, where: tuple[Dataset, Path, Setting], *, model: str) -> Mapping[str, object]:
    """The losses of one batch at the same parameters, and the seconds of an epoch of both."""
    dataset, folder, setting = where
    pair = pairs.PAIRS[model]
    settings = {**pair.their_settings, "train_batch_size": BATCH_SIZE}
    theirs = mmrec.MMRec(setting.mmrec.resolve(), folder, pair.theirs, settings, use_gpu=setting.device.type == "cuda")
    theirs.begin()
    ours = built(Component(pair.ours, pair.our_settings), dataset, setting)
    ours.on_epoch_start(torch.Generator())
    own, other = pairs.same_losses(pair, ours, theirs.model, next(theirs.batches))
    epochs = Epochs(ours, "plain", sampler_of(dataset, setting))
    count = min(20, len(theirs.loader) - 1)

    def of_ours() -> float:
        return setting.seconds(epochs.begin) + len(epochs) / count * setting.seconds(lambda: epochs.take(count))

    def of_theirs() -> float:
        return setting.seconds(theirs.begin) + len(theirs.loader) / count * setting.seconds(lambda: theirs.take(count))

    rounds = 1 if setting.small else ROUNDS
    times = [{"theirs": of_theirs(), "ours": of_ours()} for _ in range(1 + rounds)][1:]
    summary = pairs.summary(times)
    fast = setting.device.type != "cuda" or summary["ratio"] >= AT_LEAST
    gap = abs(own - other) / abs(other)
    return {**summary, "loss gap": gap, "passed": fast}


def ranking(setting: Setting) -> Iterator[Row]:
    """Time lists of twenty items for many users, in blocks."""
    n_users, n_items, n_seen = (2_000, 3_000, 10) if setting.small else (1_000_000, 100_000, 10)
    stream = torch.Generator().manual_seed(0)
    users, items = (torch.randn(count, 64, generator=stream).to(setting.device) for count in (n_users, n_items))
    columns = torch.randint(n_items, (n_users * n_seen,), generator=stream).numpy()
    rows = np.arange(0, n_users * n_seen + 1, n_seen)
    seen = sparse.csr_array((np.ones(len(columns), np.float32), columns, rows), shape=(n_users, n_items))
    setting.begin_peak()
    seconds = setting.seconds(lambda: rank(inner_product(users, items), torch.arange(n_users), 20, seen))
    figures = {"seconds": round(seconds, 2), "peak MB": setting.peak_mb()}
    yield {"users": n_users, "items": n_items, **figures}


def large(setting: Setting) -> Iterator[Row]:
    """Time a step of LightGCN over many interactions, and the beginning of an epoch."""
    sizes = (2_000, 1_000, 50_000) if setting.small else (1_000_000, 200_000, 20_000_000)
    dataset = random_dataset(*sizes)
    data = dataset, sampler_of(dataset, setting)
    rows = each(setting, with_strategies(["lightgcn"]), partial(_step, setting, data, {}))
    yield from ({"interactions": sizes[2], **row} for row in rows)


def built(component: Component, dataset: Dataset, setting: Setting) -> Model:
    """A model on the device, in training."""
    model = build_model(component, dataset, seed=0)
    assert isinstance(model, Model)
    return model.to(setting.device).train()


def sampler_of(dataset: Dataset, setting: Setting) -> Sampler:
    """The batches of the device."""
    return Sampler(dataset.interactions, BATCH_SIZE, setting.device)


def like_baby(setting: Setting) -> Dataset:
    """Random interactions with the skew of a shop and random features, as many as in Amazon Baby, or few."""
    scale = SCALE if setting.small else 1
    dataset = random_dataset(19_445 // scale, 7_050 // scale, 120_000 // scale)
    widths = {"image": 64 if setting.small else 4096, "text": 32 if setting.small else 384}
    stream, count = np.random.default_rng(0), dataset.interactions.n_items
    drawn: Mapping[str, Any] = {
        name: stream.standard_normal((count, width), dtype=np.float32) for name, width in widths.items()
    }
    found = {name: Features(values, np.ones(count, dtype=np.bool_)) for name, values in drawn.items()}
    return dataset.with_features(found)
