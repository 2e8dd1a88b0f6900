"""Stored numbers that public implementations gave, and our models with their parameters.

The numbers lie outside the repository: see their README for equations, sources and tolerances. Set FLATREC_REFERENCE
to a folder that holds a folder a set, each with <model>.npz and <model>.json. The tests skip without them.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.data.augmentation import NOBODY, Augmentation
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / os.environ.get("FLATREC_REFERENCE", "../shared/reference")
GRAPH = 1e-6
MODALITIES = {"v": "image", "t": "text"}
ABSENT = pytest.param(
    None, marks=pytest.mark.skip(reason=f"no reference numbers in {FOLDER}; set FLATREC_REFERENCE"), id="absent"
)


@dataclass(frozen=True)
class Place:
    """Where a parameter of theirs stands in ours: all of it, or some rows."""

    name: str
    start: int = 0
    stop: int | None = None

    def of(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return tensors[self.name][self.start : self.stop]


@dataclass(frozen=True)
class Adapter:
    """How a model here answers to one there.

    ``places`` maps each parameter of theirs to ours; what it leaves out the original never trains, or it is in
    ``cancelling``: without influence on the loss. ``middle`` gives intermediate values there, out of ``aux``.
    ``prepare`` puts in the inputs of a variant, given its prefix. The tolerances are those of the README: largest
    absolute difference of representations and of scores, relative difference of losses, and of gradients by norm.
    """

    make: Callable
    places: Callable[["Case"], Mapping[str, Place]]
    terms: Mapping[str, str]
    graphs: Callable = lambda _: {}
    prepare: Callable = lambda *_: None
    variants: Sequence[str] = ("",)
    cancelling: frozenset[str] = frozenset()
    middle: Mapping[str, Callable[[Mapping[str, torch.Tensor]], torch.Tensor]] = field(default_factory=dict)
    representation: float = 5e-6
    score: float = 1e-5
    loss: float = 1e-6
    gradient: float = 1e-4
    rounded: Mapping[str, float] = field(default_factory=dict)  # terms of theirs with a larger tolerance
    weighted: frozenset[str] = frozenset()  # terms of ours that are stored weighted there
    partial: frozenset[str] = frozenset()  # variants of which only some terms are stored
    ranked: frozenset[str] = frozenset()  # variants that rank otherwise than the main one
    elsewhere: str = "\0"  # how the names of parameters begin that other tests compare


class Case:
    """One file of numbers, and our model with its parameters."""

    def __init__(self, path, adapter):
        with np.load(path) as there:
            self.there = dict(there)
        facts = json.loads(path.with_suffix(".json").read_text())
        self.settings = facts["hyper_parameters"]
        self.untrained = set(facts["run"]["parameters_without_gradient"])
        self.adapter = adapter
        self.renamed = {}  # terms that have another name in the variant
        self.dataset = dataset(self.there)
        users, positives, negatives = (
            torch.from_numpy(self.there[f"batch/{name}"]) for name in ("users", "pos", "neg")
        )
        self.batch = Batch(users, positives, negatives[:, None])
        self.load(adapter.make(self.dataset, self.settings))

    def load(self, model, prefix=""):
        """Put their parameters into our model, those of a variant where it has its own."""
        self.model = model
        self.places = self.adapter.places(self)
        state = {name: torch.full_like(one, torch.nan) for name, one in self.model.named_parameters()}
        for theirs, place in self.places.items():
            target = place.of(state)
            stored = self.there.get(f"{prefix}param/{theirs}", self.there.get(f"param/{theirs}"))
            target.copy_(torch.from_numpy(stored).view_as(target))
        assert all(one.isfinite().all() for one in state.values()), "a parameter of ours has no origin"
        self.model.load_state_dict(state, strict=False)

    def matrix(self, name, prefix=""):
        row, column, values, shape = (
            self.there[f"{prefix}graph/{name}/{part}"] for part in ("row", "col", "val", "shape")
        )
        return sparse.coo_array((values, (row, column)), shape=tuple(shape)).toarray()


def dataset(there):
    n_users, n_items = int(there["meta/n_users"]), int(there["meta/n_items"])
    users, items = (there[f"train/{name}"].astype(np.int32) for name in ("user", "item"))
    return Dataset(
        "reference",
        Interactions(users, items, np.zeros(len(users), np.int8), n_users, n_items),
        Vocabulary("user", [str(number) for number in range(n_users)]),
        Vocabulary("item", [str(number) for number in range(n_items)]),
        {name: Features.from_array(there[f"feat/{name}"], n_items, name) for name in ("image", "text")},
        augmentation=augmentation(there, n_users, n_items),
    )


def augmentation(there, n_users, n_items):
    if "input/profile" not in there:
        return None
    attributes = {name.split("_")[1]: values for name, values in there.items() if name.startswith("input/attribute_")}
    pairs = np.stack([there["input/llm_pos"], there["input/llm_neg"]], axis=1)
    return Augmentation(
        Features.from_array(there["input/profile"], n_users, "profile"),
        {name: Features.from_array(values, n_items, name) for name, values in attributes.items()},
        np.where(pairs < n_items, pairs, NOBODY),
    )


def files(model):
    """The files of a model, which are called by its name without the marks between words, one a set."""
    stem = model.replace("_", "").replace("-", "")
    return [path for path in sorted(FOLDER.glob("*/*.npz")) if path.stem.replace("_", "") == stem]


def variants(path):
    """The prefixes under which a file holds losses of models; that of denoisers is compared in test_diffmm."""
    with np.load(path) as there:
        prefixes = {name.removesuffix("loss/total") for name in there.files if name.endswith("loss/total")}
        return sorted(prefixes - {"diffusion/"})


def close(ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=0, atol=tolerance)
