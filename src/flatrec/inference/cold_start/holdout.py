"""Items held out entirely: their pairs, their features and themselves are absent from what is trained on."""

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
from flatrec.data.interactions import Interactions, Split
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.run import Run
from flatrec.registry.instantiate import with_defaults
from flatrec.runs import run_dir, selection
from flatrec.training import Callback
from flatrec.utils import seeding


@dataclass(frozen=True, eq=False)
class Holdout:
    """A data set without some of its items, and which these are.

    Args:
        whole: with all items.
        warm: without the cold ones; users keep their numbers, items are numbered again in the same order, and pairs
            stay in their parts.
        cold: numbers, in the whole, of the items held out for ``valid`` and for ``test``, in increasing order.
        share: of the items with pairs that each of the two got.
        seed: of the draw.
    """

    whole: Dataset
    warm: Dataset
    cold: Mapping[Split, Int64[ndarray, "n_cold"]]
    share: float
    seed: int

    @property
    def name(self) -> str:
        """What its run's folder is called."""
        return f"cold-share{self.share:g}-seed{self.seed}"


def hold_out(dataset: Dataset, share: float = 0.1, seed: int = 0) -> Holdout:
    """Draw items that have pairs, one share of them for validation and as many for test, and take them out.

    Raises:
        ValueError: the share is out of range, or leaves nothing to train on.
    """
    if not 0 < share < 0.5:
        raise ValueError(f"share must lie between 0 and 0.5, as it is held out twice, but is {share}")
    able = np.unique(dataset.interactions.items).astype(np.int64)
    size = round(share * len(able))
    if size < 1:
        raise ValueError(f"a share of {share} of {len(able)} items with pairs is less than one item; give a larger one")
    order = torch.randperm(len(able), generator=seeding.generator(seed, "cold items")).numpy()
    cold: dict[Split, ndarray] = {"valid": np.sort(able[order[:size]]), "test": np.sort(able[order[size : 2 * size]])}
    gone = np.concatenate(list(cold.values()))
    if np.isin(dataset.interactions.indices("train")[1], gone).all():
        raise ValueError(f"a share of {share} for validation and as much for test leaves no training pair; lower it")
    valid = dataset.interactions.indices("valid")[1]
    if len(valid) and np.isin(valid, gone).all():
        raise ValueError(
            f"a share of {share} leaves no validation pair to stop training by; lower it, or draw by another --seed"
        )
    warm = replace(without(dataset, gone), name=f"{dataset.name} without cold items")
    return Holdout(dataset, warm, cold, share, seed)


def without(dataset: Dataset, items: Int64[ndarray, "n_gone"]) -> Dataset:
    """The data set without some items, their pairs and their features; the users stay."""
    kept = np.setdiff1d(np.arange(dataset.n_items), items)
    old = dataset.interactions
    pairs = np.isin(old.items, kept)
    numbers = np.searchsorted(kept, old.items[pairs])
    titles, images, rows = dataset.titles, dataset.images, kept.tolist()
    return replace(
        dataset,
        interactions=Interactions(old.users[pairs], numbers, old.splits[pairs], old.n_users, len(kept)),
        items=Vocabulary("item", [dataset.items[number] for number in rows]),
        features={name: one.take(kept) for name, one in dataset.features.items()},
        titles=tuple(titles[number] for number in rows) if titles else None,
        images=tuple(images[number] for number in rows) if images else None,
        source=None,
    )


def warm_run(experiment: Experiment, holdout: Holdout, out: Path, callbacks: Sequence[Callback] = ()) -> Run:
    """What an experiment learns from the warm items; in a folder of its own, gone on with or read where it is there.

    Args:
        experiment: the settings.
        holdout: the data.
        out: the run folder; it is loaded with ``load_run(out, holdout.warm)``.
        callbacks: objects that are told of the progress.

    Raises:
        ValueError: the folder holds a run with other settings or of other data.
        DivergedError: ten steps in a row had no finite gradient.
    """
    wished = experiment.device
    experiment = experiment.replace(data="")  # which no path holds
    if not (out / run_dir.RESULT).is_file():
        selection.log_warnings(selection.choice_warnings(experiment, holdout.warm))
    else:  # what is finished may be read on another device
        experiment = experiment.replace(device=run_dir.read_experiment(out).device)
    if run_dir.has_run(out):
        try:
            run_dir.check_same(out, with_defaults(experiment), holdout.warm)
        except ValueError as error:
            raise ValueError(
                f"{out} was trained with other settings or on other data; remove it, to have its items held out again "
                f"({error})"
            ) from None
    run_or_resume(out, experiment, holdout.warm, callbacks)
    return load_run(out, holdout.warm, wished)
