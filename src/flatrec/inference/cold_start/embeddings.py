"""Embeddings of new items, by the model's own equations or from the embeddings of similar known items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import concatenated
from flatrec.inference.joining import Embedder, NearestEmbedder, is_content_matrix, item_vectors
from flatrec.inference.known_items import KnownItems
from flatrec.inference.nearest_items import mean_rows, neighbor_weights
from flatrec.inference.new_items import NewItems
from flatrec.inference.run import Run, user_item_embeddings
from flatrec.models import Baseline, Model
from flatrec.models.base import Cold
from flatrec.models.features import FeatureTables, MissingModality
from flatrec.models.perceptron import NO_VECTORS, ProductPerceptron
from flatrec.models.scoring import Vectors


@dataclass(frozen=True, eq=False)
class NewItemEmbeddings:
    """Embeddings of new items, of the users and of the known items of a run, on the CPU; scores are inner products.

    Args:
        items: the new items.
        method: how their embeddings were made; see :func:`embed_new_items`.
        users: embeddings of the users, as trained.
        known_items: embeddings of the known items, as trained.
        new_items: embeddings of the new items.
    """

    items: NewItems
    method: Cold
    users: Float[Tensor, "n_users dim"]
    known_items: Float[Tensor, "n_known dim"]
    new_items: Float[Tensor, "n_new dim"]

    @property
    def all_items(self) -> Float[Tensor, "n_all dim"]:
        """Embeddings of the known items, then of the new ones."""
        return torch.cat([self.known_items, self.new_items])


def check_supported(run: Run, *, method: str | None = None, n_neighbors: int = 10) -> tuple[Model | Baseline, Cold]:
    """Return the recommender of a run and the method by which it embeds new items.

    A baseline with vectors, such as pure-svd, has the method ``nearest``, and so has one that compares items by their
    features, such as content-knn, whose new items get similarities instead of embeddings.

    Raises:
        ValueError: the recommender has no vectors, the data set has no features, the model does not support the
            method, or n_neighbors is below 1.
    """
    recommender, dataset = run.model, run.dataset
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, but is {n_neighbors}")
    if method is not None and method not in get_args(Cold):
        raise ValueError(f"method must be {' or '.join(get_args(Cold))}, but is {method!r}")
    scoring = recommender.scoring() if isinstance(recommender, Baseline) else None
    if scoring is not None and not isinstance(scoring, Vectors) and not is_content_matrix(scoring):
        raise ValueError(
            f"{type(recommender).__name__} has no vectors of items, so it cannot score new ones; train "
            "a model such as vbpr or freedom"
        )
    if _has_own_scoring(recommender) and isinstance(run.scoring(), ProductPerceptron):
        raise ValueError(f"new items get vectors, but {NO_VECTORS}")
    if not dataset.features:
        raise ValueError(
            f"new items are embedded by their features, but data set {dataset.name!r} has none; add features "
            "(flatrec encode) and train again"
        )
    own: Cold = recommender.COLD if isinstance(recommender, Model) else "nearest"
    if method == "nearest":
        return recommender, "nearest"
    if method == "features" != own:
        raise ValueError(
            f"{type(recommender).__name__} does not embed an item by its own features alone, so it cannot embed new "
            "ones by them; choose method nearest"
        )
    return recommender, own


def _has_own_scoring(recommender: Model | Baseline) -> bool:
    """Return True for a model that replaces Model.scoring; the others need not be encoded to know how they score."""
    return isinstance(recommender, Model) and type(recommender).scoring is not Model.scoring


def embed_new_items(
    run: Run, items: NewItems, *, n_neighbors: int = 10, method: str | None = None
) -> NewItemEmbeddings:
    """Return an embedding of each new item, which depends on no other new item, beside those of the run.

    There are two methods, and the class of the model says which is its own (``Model.COLD``):

    - ``features``: the model is made again with the new items after the known ones, without interactions. Its
      parameters are those that were trained; in a table with one row per item, such as that of ids, the row of a new
      item is the mean (:func:`flatrec.inference.nearest_items.mean_rows`) of the rows of the most similar known items,
      weighted by :func:`flatrec.inference.nearest_items.neighbor_weights`. Missing features are imputed from the known
      items, as in training.
    - ``nearest``: the embedding is the same mean of the embeddings of these known items.

    Args:
        run: a trained model and its data.
        items: the new items.
        n_neighbors: number of known items per modality, at least 1.
        method: another method than that of the class; every model supports ``nearest``.

    Raises:
        ValueError: the run cannot embed new items, or not by this method, or n_neighbors is below 1.
    """
    chosen, embed = embedder(run, n_neighbors=n_neighbors, method=method)
    vectors = item_vectors(run.recommender)
    return NewItemEmbeddings(items, chosen, vectors.users, vectors.items, embed(items.features, None))


def embedder(run: Run, *, n_neighbors: int = 10, method: str | None = None) -> tuple[Cold, Embedder]:
    """Return the method by which a run embeds new items, and the function that does it; see :func:`embed_new_items`.

    Raises:
        ValueError: the run cannot embed new items, or not by this method, or n_neighbors is below 1.
    """
    model, chosen = check_supported(run, method=method, n_neighbors=n_neighbors)
    known = KnownItems.of(run.dataset)
    if chosen == "nearest" or isinstance(model, Baseline):
        return chosen, NearestEmbedder(known, item_vectors(run.recommender).items, n_neighbors)

    def embed(features: Mapping[str, Features], itself: Int64[ndarray, "n"] | None) -> Float[Tensor, "n dim"]:
        weights = neighbor_weights(known, features, n_neighbors, itself=itself)
        return _by_equations(run.dataset, features, model, weights)

    return chosen, embed


def _by_equations(
    dataset: Dataset, features: Mapping[str, Features], trained: Model, weights: sparse.csr_array
) -> Float[Tensor, "n_new dim"]:
    with torch.random.fork_rng(devices=()):
        model = type(trained)(_with_new_items(dataset, features, trained), trained.config)
    before, after = trained.state_dict(), model.state_dict()
    model.load_state_dict({name: _with_new_rows(before[name], after[name], weights) for name in after})
    _, embeddings = user_item_embeddings(model)
    return embeddings[dataset.n_items :].detach().float()


def _with_new_rows(before: Tensor, after: Tensor, weights: sparse.csr_array) -> Tensor:
    """Return a trained tensor; a table with one row per item, the items last, gets rows for the new items."""
    if before.shape == after.shape:
        return before.cpu()
    n_new, n_known = weights.shape
    if before.ndim != 2 or before.shape[1:] != after.shape[1:] or len(after) - len(before) != n_new:
        raise ValueError(
            f"a model whose COLD is 'features' has tables with one row per item, the items last, but one of shape "
            f"{tuple(before.shape)} became {tuple(after.shape)} with {n_new} more items; set COLD to 'nearest'"
        )
    return torch.cat([before.cpu(), mean_rows(weights, before[-n_known:]).to(before.dtype)])


def _with_new_items(dataset: Dataset, features: Mapping[str, Features], trained: Model) -> Dataset:
    """Return the data set with new items after its own, without interactions.

    What is imputed for the missing features of a new item does not depend on other new items. The ids of the new items
    are of no importance, and differ from all ids that data can have.
    """
    policies = [module.missing_modality for module in trained.modules() if isinstance(module, FeatureTables)]
    policy = policies[0] if policies else "mean"
    imputed = {name: _imputed(features[name], known, policy) for name, known in dataset.features.items()}
    n_new = len(next(iter(features.values())).present)
    return replace(
        dataset,
        interactions=replace(dataset.interactions, n_items=dataset.n_items + n_new),
        items=Vocabulary("item", [*dataset.items, *(f"\0{index}" for index in range(n_new))]),
        features={name: concatenated(known, imputed[name]) for name, known in dataset.features.items()},
        titles=None,
        images=None,
        item_columns=None,
        log=None,
        augmentation=dataset.augmentation
        and dataset.augmentation.reindexed(
            np.arange(dataset.n_users), np.concatenate([np.arange(dataset.n_items), np.full(n_new, -1)])
        ),
    )


def _imputed(new: Features, known: Features, policy: MissingModality) -> Features:
    if not known.present.any():  # nothing was learned from this modality
        return Features(new.values, np.zeros_like(new.present))
    if policy == "learned" and not known.present.all():  # the model imputes by its learned row
        return new
    mean = known.values[known.present].mean(axis=0, dtype=np.float64).astype(np.float32)
    values = np.where(new.present[:, None], new.values, 0 if policy == "zero" else mean)
    return Features(values.astype(np.float32), np.ones_like(new.present))
