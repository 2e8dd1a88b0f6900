"""What the rows of a model's parameters belong to: users, items, both, or neither.

Which dimension of a parameter counts users and which counts items is never read off its size: there may be as many
users as items, or as many items as a layer is wide. The model is built on three small data sets that differ in their
numbers of users and items alone, and a dimension counts what makes it grow (:mod:`flatrec.testing.owners`). When a run
starts from an earlier one (:mod:`flatrec.runs.transfer`), each parameter is one of these:

- A dimension counts users, such as VBPR's ``users``, the preferences of MMGCN, GRCN, DualGNN and DRAGON, or the weights
  of modalities per user: rows are taken by user id.
- A dimension counts items, such as VBPR's ``items``, DualGNN's weights per item, or feature tables that are trained
  (BM3, LATTICE, FREEDOM if asked): rows are taken by item id. A trained table begins as the features, so that a new
  item keeps its own.
- A dimension counts users and then items, such as ``nodes`` of the models over a graph, or GRCN's ``confidence``: rows
  of the first half are taken by user id, those of the second by item id. That users come first is the convention of
  :class:`flatrec.models.base.Encoded`; a class of the user's own must show it, by scores that do not depend on the
  order of users and items (``flatrec check-model`` checks the same).
- No dimension does, such as maps of features, biases and the learned row of a missing modality: the parameter is taken
  if name, shape and type agree, and stays initial if not.
- It cannot be told, as a size follows from the data in another way: the parameter stays initial.

Buffers stay initial as well: models count epochs in them, and compute them from data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.models import Model
from flatrec.registry.objects import model_component
from flatrec.testing.datasets import block_dataset
from flatrec.testing.equivariance import check_permutation
from flatrec.testing.messages import NotApplicableError
from flatrec.testing.owners import Owner, Owners, owners
from flatrec.testing.runs import seeded
from flatrec.utils.messages import raised

_PROBE_ITEMS = (9, 100, 1000)  # per block, of which there are three: a setting may need more items than a few


def parameter_owners(model: Model, dataset: Dataset) -> dict[str, Owners | None]:
    """Return what each dimension of each parameter counts: users, items, both or neither; None if it cannot be told.

    Raises:
        ValueError: the model cannot be built on small data, or its scores depend on the order of users and items.
    """
    make, small = _on_small_data(model, dataset)
    told = owners(make, small, _parameters)
    if _is_own(model) and any("nodes" in one for one in told.values() if one):
        _check_users_first(make, small)
    sizes: dict[Owner, int] = {
        "users": dataset.n_users,
        "items": dataset.n_items,
        "nodes": dataset.n_users + dataset.n_items,
    }
    small_shapes = {name: one.shape for name, one in _parameters(make(small)).items()}
    return {
        name: _confirmed(told.get(name), parameter.shape, small_shapes.get(name), sizes)
        for name, parameter in _parameters(model).items()
    }


def _confirmed(
    found: Owners | None, shape: torch.Size, small: torch.Size | None, sizes: Mapping[Owner, int]
) -> Owners | None:
    """Return what was found on small data if the sizes on the data at hand agree with it."""
    if found is None or small is None or len(found) != len(shape):
        return None
    expected = [small[place] if owner is None else sizes[owner] for place, owner in enumerate(found)]
    return found if list(shape) == expected else None


def _parameters(model: Model) -> Mapping[str, Tensor]:
    return dict(model.named_parameters())


def _is_own(model: Model) -> bool:
    return ":" in model_component(model).name


def _on_small_data(model: Model, dataset: Dataset) -> tuple[Callable[[Dataset], Model], Dataset]:
    """Return what builds models like this one, and small data that it can be built on."""
    make = seeded(lambda small: type(model)(small, model.config))
    for items in _PROBE_ITEMS:
        small = _small(dataset, items)
        try:
            make(small)
        except Exception as error:  # whatever a class of the user's own raises
            reason = raised(error)
        else:
            return make, small
    raise ValueError(
        f"which parameters of {type(model).__name__} belong to users and items cannot be told, as it cannot be built "
        f"on small data ({reason}); train without --init-from"
    )


def _small(dataset: Dataset, items: int) -> Dataset:
    """Return small data like others: with their modalities, the widths of these, missing rows and weights."""
    blocks = block_dataset(users=11, items=items, modalities=())
    stream = np.random.default_rng(0)
    features = {}
    for name, one in dataset.features.items():
        present = np.ones(blocks.n_items, dtype=np.bool_)
        present[: 0 if one.present.all() else 1 if one.present.any() else blocks.n_items] = False
        values = stream.standard_normal((blocks.n_items, one.width)).astype(np.float32)
        features[name] = Features(values * present[:, None], present)
    weights = None if dataset.interactions.weights is None else np.ones(len(blocks.interactions), dtype=np.float32)
    old = blocks.interactions
    interactions = Interactions(old.users, old.items, old.splits, old.n_users, old.n_items, weights=weights)
    return blocks.with_interactions(interactions).with_features(features)


def _check_users_first(make: Callable[[Dataset], Model], small: Dataset) -> None:
    """Make sure that rows of users and items are in the order of the convention."""
    try:
        check_permutation(make, small)
    except (AssertionError, NotApplicableError) as error:
        raise ValueError(
            f"{type(make(small)).__name__} has parameters for all users and items in one table, and a check of their "
            f"order, users first, fails: {error}; see flatrec check-model, or train without --init-from"
        ) from None
