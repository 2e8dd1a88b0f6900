"""Held-out items: their interactions, their features and they themselves are absent from the training data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray

from flatrec.api import load_run, run_or_resume
from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Split
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.run import Run
from flatrec.registry.instantiate import with_defaults
from flatrec.runs import run_dir, selection
from flatrec.training import Callback
from flatrec.utils import seeding


@dataclass(frozen=True, eq=False)
class Holdout:
    """A data set, the same without some of its items, and which items these are.

    Args:
        full: the data set with all items.
        remaining: the data set without the held-out items. Users keep their indices, items are indexed again in the
            same order, and interactions stay in their splits.
        items: indices in ``full`` of the items held out for ``valid`` and for ``test``, in increasing order.
        fraction: fraction of the items with interactions that each of the two got.
        seed: seed of the draw.
    """

    full: Dataset
    remaining: Dataset
    items: Mapping[Split, Int64[ndarray, "n_held_out"]]
    fraction: float
    seed: int


def run_name(fraction: float, seed: int) -> str:
    """Return the name of the folder in which a run without held-out items is kept beside the full run's files."""
    return f"cold-fraction{fraction:g}-seed{seed}"


def hold_out_items(dataset: Dataset, fraction: float = 0.1, seed: int = 0) -> Holdout:
    """Draw items that have interactions, a fraction of them for validation and as many for test, and remove them.

    Raises:
        ValueError: the fraction is out of range, or leaves nothing to train on.
    """
    if not 0 < fraction < 0.5:
        raise ValueError(f"fraction must lie between 0 and 0.5, as it is held out twice, but is {fraction}")
    candidates = np.unique(dataset.interactions.items).astype(np.int64)
    size = round(fraction * len(candidates))
    if size < 1:
        raise ValueError(
            f"a fraction of {fraction} of {len(candidates)} items with interactions is less than one item; give a "
            "larger fraction"
        )
    order = torch.randperm(len(candidates), generator=seeding.generator(seed, "cold items")).numpy()
    items: dict[Split, ndarray] = {
        "valid": np.sort(candidates[order[:size]]),
        "test": np.sort(candidates[order[size : 2 * size]]),
    }
    removed = np.concatenate(list(items.values()))
    if np.isin(dataset.interactions.indices("train")[1], removed).all():
        raise ValueError(
            f"a fraction of {fraction} for validation and as much for test leaves no training interaction; lower it"
        )
    valid = dataset.interactions.indices("valid")[1]
    if len(valid) and np.isin(valid, removed).all():
        raise ValueError(
            f"a fraction of {fraction} leaves no validation interaction to stop training by; lower it, or draw by "
            "another --seed"
        )
    remaining = replace(without_items(dataset, removed), name=f"{dataset.name} without cold items")
    return Holdout(dataset, remaining, items, fraction, seed)


def without_items(dataset: Dataset, items: Int64[ndarray, "n_removed"]) -> Dataset:
    """Return the data set without some items, their interactions and their features; the users stay."""
    rows = np.setdiff1d(np.arange(dataset.n_items), items)
    before, indices = dataset.interactions, rows.tolist()
    mask = np.isin(before.items, rows)
    interactions = before.take(mask)
    new_indices = np.searchsorted(rows, interactions.items)
    titles, images = dataset.titles, dataset.images
    return replace(
        dataset,
        interactions=replace(interactions, items=new_indices, n_items=len(rows)),
        log=None,
        items=Vocabulary("item", [dataset.items[index] for index in indices]),
        features={name: features.take(rows) for name, features in dataset.features.items()},
        titles=tuple(titles[index] for index in indices) if titles else None,
        images=tuple(images[index] for index in indices) if images else None,
        item_columns=dataset.item_columns[rows] if dataset.item_columns is not None else None,
        source=None,
        released_negatives=None,
        augmentation=dataset.augmentation and dataset.augmentation.reindexed(np.arange(dataset.n_users), rows),
    )


def train_without_held_out(
    experiment: Experiment, holdout: Holdout, out: Path, callbacks: Sequence[Callback] = ()
) -> Run:
    """Train on the remaining items into a run folder; resume or read the run that the folder holds.

    ``load_run(out, holdout.remaining)`` loads it.

    Raises:
        ValueError: the folder holds a run with other settings or of other data.
        DivergedError: ten steps in a row had no finite gradient.
    """
    device = experiment.device
    experiment = experiment.replace(data="")  # the data are at no path
    if not (out / run_dir.RESULT).is_file():
        selection.log_warnings(selection.choice_warnings(experiment, holdout.remaining))
    else:  # a finished run may be read on another device
        experiment = experiment.replace(device=run_dir.read_experiment(out).device)
    if run_dir.has_run(out):
        try:
            run_dir.check_same(out, with_defaults(experiment), holdout.remaining)
        except ValueError as error:
            raise ValueError(
                f"{out} was trained with other settings or on other data; remove it to hold its items out again "
                f"({error})"
            ) from None
    run_or_resume(out, experiment, holdout.remaining, callbacks)
    return load_run(out, holdout.remaining, device)
