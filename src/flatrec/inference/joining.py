"""New items join a recommender: their embeddings, on one scale with those of the known items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.encoded_items import EncodedItems
from flatrec.data.features import Features
from flatrec.inference import calibration
from flatrec.inference.calibration import Calibration, TreatedAsNew, calibrate, sample
from flatrec.inference.known_items import KnownItems
from flatrec.inference.nearest_items import mean_rows, neighbor_weights
from flatrec.inference.new_items import NewItems, read_new_items
from flatrec.inference.recommender import Recommender
from flatrec.models.base import Cold
from flatrec.models.perceptron import NO_VECTORS, ProductPerceptron
from flatrec.models.scoring import ItemMatrix, ItemScores, Scoring, UserMatrix, Vectors

SEED = 0  # of the sample of users and items by which the scale is found

# Given features by modality, it returns one embedding per item, which depends on no other of the items. For known items
# that are treated as new, the second argument is the index of each, which is not compared with itself.
Embedder: TypeAlias = Callable[[Mapping[str, Features], Int64[ndarray, "n"] | None], Tensor]


@dataclass(frozen=True, eq=False)
class NearestEmbedder:
    """Averages the embeddings of the most similar known items; needs no model.

    Args:
        known: the known items.
        embeddings: their embeddings.
        n_neighbors: number of known items per modality that an item is compared with, at least 1.
    """

    known: KnownItems
    embeddings: Float[Tensor, "n_known dim"]
    n_neighbors: int = 10

    def __call__(self, features: Mapping[str, Features], itself: Int64[ndarray, "n"] | None) -> Float[Tensor, "n dim"]:
        """Return one embedding per item; see :mod:`flatrec.inference.nearest_items`.

        Raises:
            ValueError: n_neighbors is below 1.
        """
        return mean_rows(neighbor_weights(self.known, features, self.n_neighbors, itself=itself), self.embeddings)


@dataclass(frozen=True, eq=False)
class ItemDetails:
    """What is known of new items beside their features; each entry has one value per item.

    Args:
        titles: one readable name per item; None where there is none.
        images: one image file per item; None where there is none.
        columns: item columns for filters, among those of the known items.
    """

    titles: Sequence[str | None] | None = None
    images: Sequence[Path | None] | None = None
    columns: pl.DataFrame | None = None

    def take(self, rows: Int64[ndarray, "n"]) -> ItemDetails:
        """Return the details of some of the items, in the order of ``rows``."""
        indices = rows.tolist()
        return ItemDetails(
            None if self.titles is None else [self.titles[row] for row in indices],
            None if self.images is None else [self.images[row] for row in indices],
            None if self.columns is None else self.columns[indices],
        )

    def check(self, n_items: int) -> None:
        """Make sure that there is one value per item.

        Raises:
            ValueError: there are more or fewer.
        """
        for name, values in (("titles", self.titles), ("images", self.images), ("columns", self.columns)):
            if values is not None and len(values) != n_items:
                raise ValueError(f"{name} must have one value for each of {n_items} new items, but has {len(values)}")


@dataclass(frozen=True, eq=False)
class JoinedItems:
    """A recommender that new items have joined, and how they did.

    Args:
        recommender: the known items, then the new ones.
        items: the new items, and which of those that were given are none.
        method: how their embeddings were made: ``nearest``, or ``features`` by the equations of the model.
        calibration: how they were brought to the scale of the known items.
    """

    recommender: Recommender
    items: NewItems
    method: Cold
    calibration: Calibration


def join_nearest(
    recommender: Recommender,
    encoded: EncodedItems,
    details: ItemDetails = ItemDetails(),  # noqa: B008
    *,
    n_neighbors: int = 10,
    source: str = "the encoded items",
) -> JoinedItems:
    """Return a recommender with new items, whose embeddings are those of the most similar known items, averaged.

    Where similar items make the scores, as in content-knn, see :func:`join_similar` instead. See
    :mod:`flatrec.inference.nearest_items` for the average, and :mod:`flatrec.inference.calibration` for the scale.

    Args:
        recommender: the known items, with their features.
        encoded: ids and features of the items; those that the recommender knows already are left out.
        details: titles, images and item columns, one per id of ``encoded``.
        n_neighbors: number of known items per modality that a new item is compared with, at least 1.
        source: how messages call the items, such as their folder.

    Raises:
        ValueError: the recommender has no vectors of items or holds no features, the items do not fit
            it, none of them is new, or n_neighbors is below 1.
    """
    if is_content_matrix(recommender.scoring):
        items = read_new_items(encoded, known_items(recommender), source)
        details.check(len(encoded.ids))
        return join_similar(recommender, items, details)
    vectors = item_vectors(recommender)
    known = known_items(recommender)
    items = read_new_items(encoded, known, source)
    details.check(len(encoded.ids))
    embed = NearestEmbedder(known, vectors.items, n_neighbors)
    return join(recommender, items, "nearest", embed, details=details)


@dataclass(frozen=True, eq=False)
class ItemEmbedder:
    """Embeds new items for one recommender, without joining them; what the known items decide is computed once.

    The vectors are those that :func:`join_nearest` gives the items.

    Args:
        recommender: the known items, with their features.
        n_neighbors: number of known items per modality that a new item is compared with, at least 1.

    Raises:
        ValueError: the recommender has no vectors of items or holds no features.
    """

    recommender: Recommender
    n_neighbors: int = 10
    _known: KnownItems = field(init=False)
    _embed: NearestEmbedder = field(init=False)

    def __post_init__(self) -> None:
        vectors, known = item_vectors(self.recommender), known_items(self.recommender)
        object.__setattr__(self, "_known", known)
        object.__setattr__(self, "_embed", NearestEmbedder(known, vectors.items, self.n_neighbors))

    def vectors(self, encoded: EncodedItems, source: str = "the encoded items") -> Float[Tensor, "n_new dim"]:
        """Return one vector per new item.

        Raises:
            ValueError: the items do not fit the recommender, none of them is new, or n_neighbors is below 1.
        """
        items = read_new_items(encoded, self._known, source)
        return self._scale * self._embed(items.features, None)

    @cached_property
    def _scale(self) -> float:
        return _calibrated(self.recommender, item_vectors(self.recommender), self._embed).scale


def join(
    recommender: Recommender,
    items: NewItems,
    method: Cold,
    embed: Embedder,
    *,
    details: ItemDetails = ItemDetails(),  # noqa: B008
) -> JoinedItems:
    """Return a recommender with new items that are embedded by any method, on one scale with the known ones.

    Args:
        recommender: the known items.
        items: the new items.
        method: the name of the method.
        embed: the method.
        details: titles, images and item columns, one per item that ``items`` was read from.

    Raises:
        ValueError: the recommender has no vectors of items, or an item column does not fit.
    """
    vectors = item_vectors(recommender)
    found = _calibrated(recommender, vectors, embed)
    embeddings = found.scale * embed(items.features, None)
    contributions = (
        None if vectors.contributions is None else torch.cat([vectors.contributions, torch.zeros_like(embeddings)])
    )
    scoring = Vectors(vectors.users, torch.cat([vectors.items, embeddings]), contributions)
    return JoinedItems(_joined(recommender, scoring, items, details), items, method, found)


def join_similar(
    recommender: Recommender,
    items: NewItems,
    details: ItemDetails = ItemDetails(),  # noqa: B008
) -> JoinedItems:
    """Return a recommender of similar items with new items, by their similarities to the known ones.

    They are those that the items would have if the baseline had been made with each of them, so that the model says how
    many there are, and scores need no scale. See :class:`flatrec.models.content_similarity.ContentSimilarity`.

    Args:
        recommender: the known items.
        items: the new items.
        details: titles, images and item columns, one per item that ``items`` was read from.

    Raises:
        ValueError: its items are not compared by features, or an item column does not fit.
    """
    scoring, catalog = recommender.scoring, recommender.catalog
    if not isinstance(scoring, ItemMatrix) or scoring.content is None or not sparse.issparse(scoring.similarities):
        raise ValueError(f"{recommender.facts.model} does not compare items by features; use content-knn or hybrid-knn")
    similarities = scoring.content.joined(scoring.similarities, catalog.features, items.features, ~catalog.new)
    profiles = _widened(scoring.profiles, (scoring.n_users, similarities.shape[1]))
    widened = ItemMatrix(profiles, similarities, scoring.content)
    return JoinedItems(_joined(recommender, widened, items, details), items, "nearest", _of_scale(1.0))


def is_content_matrix(scoring: Scoring) -> bool:
    """Return True for scores by similar items that features alone can make similar."""
    return isinstance(scoring, ItemMatrix) and scoring.content is not None


def _joined(recommender: Recommender, scoring: Scoring, items: NewItems, details: ItemDetails) -> Recommender:
    of_new = details.take(items.rows)
    catalog = recommender.catalog.joined(
        items.ids, items.features, titles=of_new.titles, images=of_new.images, columns=of_new.columns
    )
    shape = (len(recommender.users), len(catalog))
    return replace(
        recommender,
        scoring=scoring,
        catalog=catalog,
        history=_widened(recommender.history, shape),
        seen=_widened(recommender.seen, shape),
    )


def item_vectors(recommender: Recommender) -> Vectors:
    """Return the vectors of a recommender.

    Raises:
        ValueError: it has none.
    """
    if isinstance(recommender.scoring, ProductPerceptron):
        raise ValueError(f"new items get vectors, but {NO_VECTORS}")
    if not isinstance(recommender.scoring, Vectors):
        kinds = {ItemMatrix: "similar items", UserMatrix: "similar users", ItemScores: "popularity"}
        kind = kinds[type(recommender.scoring)]
        raise ValueError(
            f"{recommender.facts.model} has no vectors of items ({kind}), so new ones cannot join it; "
            "train a model such as vbpr or freedom"
        )
    return recommender.scoring


def known_items(recommender: Recommender) -> KnownItems:
    """Return the items of a recommender; those that joined after training count as not trained.

    Raises:
        ValueError: the recommender holds no features.
    """
    catalog, name = recommender.catalog, recommender.facts.data
    source = f"data set {name!r}" if name else "the recommender"
    if not catalog.features:
        raise ValueError(
            f"new items are embedded by their features, but {source} has none; add features (flatrec encode) and "
            "train again"
        )
    return KnownItems(catalog.ids, catalog.features, (catalog.popularity > 0) & ~catalog.new, source)


def new_item_scale(recommender: Recommender, n_neighbors: int = 10) -> float | None:
    """Return the scale that :func:`join_nearest` gives new items; None if new items cannot join by vectors."""
    if not isinstance(recommender.scoring, Vectors) or not recommender.catalog.features:
        return None
    known = known_items(recommender)
    if not known.comparable():
        return None
    embed = NearestEmbedder(known, recommender.scoring.items, n_neighbors)
    return _calibrated(recommender, recommender.scoring, embed).scale


def _calibrated(recommender: Recommender, vectors: Vectors, embed: Embedder) -> Calibration:
    """Return the scale, from known items alone, so that it does not depend on items that joined before.

    It takes the lists of users. A recommender whose users were left out has the scale that was found with them.
    """
    if recommender.facts.new_item_scale is not None:
        return _of_scale(recommender.facts.new_item_scale)
    trained = np.flatnonzero(~recommender.catalog.new)
    treated = sample(known_items(recommender).comparable_items(), calibration.N_ITEMS, SEED, "new item scale: items")
    features = {name: table.take(treated) for name, table in recommender.catalog.features.items()}
    users = sample(
        np.flatnonzero(np.diff(recommender.history.indptr)), calibration.N_USERS, SEED, "new item scale: users"
    )
    seen = recommender.seen if recommender.filter_seen else sparse.csr_array(recommender.seen.shape)
    return calibrate(
        vectors.users[torch.from_numpy(users)],
        vectors.items[torch.from_numpy(trained)],
        TreatedAsNew(np.searchsorted(trained, treated), embed(features, treated)),
        seen=seen[users][:, trained],
    )


def _of_scale(scale: float) -> Calibration:
    """Return a scale for which no lists were compared."""
    return Calibration(scale, k=0, n_users=0, n_items=0, slots=0, slots_before=0, slots_after=0)


def _widened(matrix: sparse.csr_array, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=shape)
