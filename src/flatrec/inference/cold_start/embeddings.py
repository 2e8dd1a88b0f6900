"""A vector for each new item, by its model's own equations or from the vectors of the items that it is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from flatrec.config import Options
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.cold_start.nearest_items import neighbor_weights
from flatrec.inference.cold_start.new_items import NewItems
from flatrec.inference.run import Run, user_item_embeddings
from flatrec.models import Baseline, Model
from flatrec.models.base import Cold
from flatrec.models.features import FeatureTables, MissingModality


@dataclass(frozen=True, eq=False)
class Placed:
    """New items beside the users and the known items of a run, all on the CPU; a score is an inner product.

    Args:
        items: the new items.
        way: how their vectors were made; see :func:`place`.
        users: as trained.
        known: of the known items, as trained.
        new: of the new items.
    """

    items: NewItems
    way: Cold
    users: Float[Tensor, "n_users dim"]
    known: Float[Tensor, "n_known dim"]
    new: Float[Tensor, "n_new dim"]


def check_able(
    recommender: Model | Baseline, dataset: Dataset, *, way: Cold | None = None, neighbors: int = 10
) -> Model:
    """The model, if it can place new items as it is asked to.

    Raises:
        ValueError: it is not trained, the data set has no features, the model knows no such way, or neighbors is
            below 1.
    """
    if neighbors < 1:
        raise ValueError(f"neighbors must be at least 1, but is {neighbors}")
    if not isinstance(recommender, Model):
        raise ValueError(
            f"{type(recommender).__name__} knows items by their pairs alone, so it cannot score new ones; train a "
            "model such as vbpr or freedom"
        )
    if not dataset.features:
        raise ValueError(
            f"new items are placed by their features, but data set {dataset.name!r} has none; add features "
            "(flatrec encode) and train again"
        )
    if way == "features" != recommender.COLD:
        raise ValueError(
            f"{type(recommender).__name__} does not make an item of its own features alone, so a new one cannot be "
            "placed by them; choose nearest"
        )
    return recommender


def place(run: Run, options: Options, items: NewItems, *, neighbors: int = 10, way: Cold | None = None) -> Placed:
    """A vector for each new item, which depends on no other new item; those of users and known items are the run's.

    There are two ways, and the class of the model says which (``Model.COLD``):

    - ``features``: the model is built again with the new items behind the known ones, without pairs. Maps and tables
      are those that were trained; in a table with a row an item, such as that of ids, a new item's row is the mean
      (:func:`mixed`) of the rows of the known items that it is most like, weighted by
      :func:`flatrec.inference.cold_start.nearest_items.neighbor_weights`. What an item lacks is filled in from the
      known items, as in training.
    - ``nearest``: the vector is that mean of the vectors of these known items.

    Args:
        run: a trained model and its data.
        options: the settings that the model was made with.
        items: what is new.
        neighbors: known items a modality, at least 1.
        way: another than that of the class; ``nearest`` serves every model.

    Raises:
        ValueError: the run cannot place new items, or not this way, or neighbors is below 1.
    """
    trained = check_able(run.recommender, run.dataset, way=way, neighbors=neighbors)
    way = trained.COLD if way is None else way
    weights = neighbor_weights(run.dataset, items.features, neighbors)
    users, known = (table.detach().float().cpu() for table in user_item_embeddings(trained))
    new = mixed(weights, known) if way == "nearest" else _by_equations(run.dataset, options, items, trained, weights)
    return Placed(items, way, users, known, new)


def mixed(weights: sparse.csr_array, rows: Float[Tensor, "n_known dim"]) -> Float[Tensor, "n_new dim"]:
    """Weighted means of rows, brought to the weighted means of their lengths, on the CPU.

    A mean of vectors that point apart is shorter than they are, so that without this almost every known item would be
    scored above it.
    """
    table = rows.detach().cpu().double()
    means, lengths = (torch.from_numpy(weights @ one.numpy()) for one in (table, table.norm(dim=1, keepdim=True)))
    return (F.normalize(means, dim=1) * lengths).float()


def stacked(known: Mapping[str, Features], new: Mapping[str, Features]) -> dict[str, Features]:
    """The rows of known items with those of new ones behind them, by modality."""
    return {
        name: Features(np.concatenate([one.values, new[name].values]), np.concatenate([one.present, new[name].present]))
        for name, one in known.items()
    }


def _by_equations(  # noqa: PLR0917 - what the model was, and what is new
    dataset: Dataset, options: Options, items: NewItems, trained: Model, weights: sparse.csr_array
) -> Float[Tensor, "n_new dim"]:
    with torch.random.fork_rng(devices=()):
        model = type(trained)(_extended(dataset, items, trained), trained.Config(**options))
    before, after = trained.state_dict(), model.state_dict()
    model.load_state_dict({name: _grown(before[name], after[name], weights) for name in after})
    _, vectors = user_item_embeddings(model)
    return vectors[dataset.n_items :].detach().float()


def _grown(before: Tensor, after: Tensor, weights: sparse.csr_array) -> Tensor:
    """A trained tensor, with rows for new items where it has a row an item; items come last in every such table."""
    if before.shape == after.shape:
        return before.cpu()
    n_new, n_known = weights.shape
    if before.ndim != 2 or before.shape[1:] != after.shape[1:] or len(after) - len(before) != n_new:
        raise ValueError(
            f"a model whose COLD is 'features' has tables with a row an item, the items last, but one of shape "
            f"{tuple(before.shape)} became {tuple(after.shape)} with {n_new} more items; set COLD to 'nearest'"
        )
    return torch.cat([before.cpu(), mixed(weights, before[-n_known:]).to(before.dtype)])


def _extended(dataset: Dataset, items: NewItems, trained: Model) -> Dataset:
    """The data set with the new items behind its own, without pairs."""
    n_items = dataset.n_items + len(items.ids)
    return replace(
        dataset,
        interactions=replace(dataset.interactions, n_items=n_items),
        items=Vocabulary("item", [*dataset.items, *items.ids]),
        features=_joined(dataset.features, items.features, trained),
        titles=None,
        images=None,
    )


def _joined(known: Mapping[str, Features], new: Mapping[str, Features], trained: Model) -> dict[str, Features]:
    """Features of all items; what stands in for those that a new item lacks does not depend on other new items."""
    policies = [module.missing_modality for module in trained.modules() if isinstance(module, FeatureTables)]
    policy = policies[0] if policies else "mean"
    return stacked(known, {name: _filled(new[name], one, policy) for name, one in known.items()})


def _filled(new: Features, known: Features, policy: MissingModality) -> Features:
    if not known.present.any():  # nothing was learned of this modality
        return Features(new.values, np.zeros_like(new.present))
    if policy == "learned" and not known.present.all():  # the learned row stands in
        return new
    mean = known.values[known.present].mean(axis=0, dtype=np.float64).astype(np.float32)
    values = np.where(new.present[:, None], new.values, 0 if policy == "zero" else mean)
    return Features(values.astype(np.float32), np.ones_like(new.present))
