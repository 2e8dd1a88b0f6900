"""Re-ranking: what a shop wants of a list beyond the scores of its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from pydantic import field_validator
from torch import Tensor

from flatrec.config import Config
from flatrec.evaluation.ranking import Ranking
from flatrec.inference.catalog import Catalog
from flatrec.inference.greedy_lists import Limit, Reserve, Rules, fill_lists
from flatrec.inference.where import select
from flatrec.models.perceptron import ProductPerceptron
from flatrec.models.scoring import Scoring, Vectors
from flatrec.utils.messages import shortlist
from flatrec.utils.ranges import Fraction, PositiveInt, Range

Strength: TypeAlias = Annotated[float, Range(ge=-100, le=100)]
BestOf: TypeAlias = Callable[[int, Bool[Tensor, "n_items"] | None], Ranking]


class Rerank(Config):
    """How a list is filled from the best candidates, beyond the order of their scores.

    :func:`flatrec.inference.greedy_lists.fill_lists` says how the parts act together. What filters exclude stays out,
    whatever is set here. Nothing is random, and candidates that are equal to these rules stay in the order of scores.

    ``diversity`` is maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998,
    https://doi.org/10.1145/290941.291025): each slot takes the candidate with the largest (1 - d) s - d c, with s its
    score, scaled to [0, 1] over the pool, and c its largest cosine to an item above it.

    A boost is added to the score, in standard deviations of the user's scores in the pool. It does not multiply them:
    scores can be below zero, where a factor above 1 would move an item down, and have no unit that a factor could
    refer to.

    Args:
        diversity: weight d of being unlike the items above, in [0, 1]; 0 for the order of scores.
        modality: the features by which items are compared; None for the item vectors of the model. An item without
            the modality is unlike every other one.
        max_per: by item column, the largest number of items in a list with the same value; items without a value are
            not limited. If the pool has too few items for that, the list is shorter.
        reserve: by condition, such as ``new = true``, the least number of items that fulfill it. The best of them take
            the last slots, unless they are in the list anyway; they come before the limits of others. The first
            condition comes first if they cannot all be met.
        boosts: by condition, what is added to the scores of the items that fulfill it; below 0 to move them down.
        pins: ids of items that come on top, in this order, or the rank of each, counted from 1. A pin that the filters
            exclude for a user is left out, and the list's note says so. Pins count for ``max_per``, which removes none.
        pool: number of best candidates among which a list is made. Boosts and diversity reach no further; pins and
            reserved items need not be among them.

    Example:
        >>> Rerank(max_per={"category": 2}, pins=["gift-card"]).pool
        100

    Raises:
        SettingError: a value is out of range, or two pins are the same item or have the same rank.
    """

    diversity: Fraction = 0.0
    modality: str | None = None
    max_per: Mapping[str, PositiveInt] = {}
    reserve: Mapping[str, PositiveInt] = {}
    boosts: Mapping[str, Strength] = {}
    pins: tuple[str, ...] | Mapping[str, PositiveInt] = ()
    pool: PositiveInt = 100

    @field_validator("pins")
    @classmethod
    def _check_pins(cls, pins: tuple[str, ...] | Mapping[str, int]) -> tuple[str, ...] | Mapping[str, int]:
        values = list(pins.values()) if isinstance(pins, Mapping) else list(pins)
        if len(set(values)) < len(values):
            raise ValueError(f"must be distinct items at distinct ranks, but are {pins}")
        return pins

    @property
    def ranks(self) -> dict[str, int]:
        """The rank of each pin; 0 for on top."""
        return dict(self.pins) if isinstance(self.pins, Mapping) else dict.fromkeys(self.pins, 0)


@dataclass(frozen=True, eq=False)
class Reranker:
    """Re-ranking for the items of one recommender.

    Args:
        n_items: number of items.
        rules: what lists are filled by.
    """

    n_items: int
    rules: Rules

    @classmethod
    def of(cls, settings: Rerank, catalog: Catalog, scoring: Scoring) -> Reranker:
        """Return what re-ranks the lists of a recommender.

        Raises:
            ValueError: a condition is malformed, a column or a modality is not there, or the recommender has no item
                vectors to compare items by.
        """
        ranks = settings.ranks.items()
        boosts = np.zeros(len(catalog))
        for condition, strength in settings.boosts.items():
            boosts += strength * select(condition, catalog.frame)
        rules = Rules(
            pool=settings.pool,
            boosts=boosts,
            diversity=settings.diversity,
            vectors=_vectors(settings, catalog, scoring) if settings.diversity else None,
            limits=tuple(Limit(_codes(catalog.frame, name), most) for name, most in settings.max_per.items()),
            reserves=tuple(Reserve(select(name, catalog.frame), slots) for name, slots in settings.reserve.items()),
            pins=tuple((catalog.ids.index_of(item), rank) for item, rank in ranks if item in catalog.ids),
        )
        return cls(len(catalog), rules)

    def lists(self, best: BestOf, k: int) -> Ranking:
        """Return the lists of some users, with the scores that the items had before.

        Args:
            best: returns so many best items of each user, of all items or of those that a mask selects; called once
                for the pool, once for each reserve, and once if there are pins.
            k: length of a list.

        Raises:
            ValueError: k is below 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, but is {k}")
        rankings = [best(min(max(self.rules.pool, k), self.n_items), None)]
        for reserve in self.rules.reserves:  # limits may exclude the best of them
            n_best = max(reserve.slots, self.rules.pool) if self.rules.limits else reserve.slots
            rankings.append(best(min(n_best, self.n_items), torch.tensor(reserve.selected)))
        if self.rules.pins:
            pinned = torch.zeros(self.n_items, dtype=torch.bool)
            pinned[[item for item, _ in self.rules.pins]] = True
            rankings.append(best(len(self.rules.pins), pinned))
        return fill_lists(merged(rankings), k, self.rules)


def pin_note(settings: Rerank, listed: Sequence[str], k: int) -> str:
    """Return a sentence on the pins that are not in a list; nothing if all are, or if it had no slot for them.

    Args:
        settings: what was wanted.
        listed: the ids in the list.
        k: the length that the list should have.
    """
    missing = [item for item, rank in settings.ranks.items() if item not in listed and rank <= k]
    if not missing or (len(listed) == k and settings.ranks.keys() >= set(listed)):
        return ""
    return f"pins that the filters exclude, or that are not known, are left out: {shortlist(missing)}"


def merged(rankings: list[Ranking]) -> Ranking:
    """Return the items of several rankings of the same users as one, by score and then by item index, each once."""
    items = torch.cat([ranking.items for ranking in rankings], dim=1)
    scores = torch.cat([ranking.scores for ranking in rankings], dim=1)
    order = items.argsort(dim=1, stable=True)
    items, scores = items.gather(1, order), scores.gather(1, order)
    scores[:, 1:][items[:, 1:] == items[:, :-1]] = -torch.inf
    order = scores.argsort(dim=1, descending=True, stable=True)
    items, scores = items.gather(1, order), scores.gather(1, order)
    return Ranking(items.masked_fill(scores.isneginf(), -1), scores)


def _vectors(settings: Rerank, catalog: Catalog, scoring: Scoring) -> Float[ndarray, "n_items dim"]:
    """Return the vectors by which items are compared; zeros for an item without any."""
    names = ", ".join(catalog.features) or "there is none"
    if settings.modality is None:
        if not isinstance(scoring, (Vectors, ProductPerceptron)):
            raise ValueError(
                f"diversity compares items by their vectors, which this recommender does not have; compare them by a "
                f"modality (modality=...: {names}), or limit items by a column (max_per)"
            )
        vectors: ndarray = scoring.items.numpy()
        return vectors
    if settings.modality not in catalog.features:
        raise ValueError(f"modality must be one of the items' features ({names}), but is {settings.modality!r}")
    values: ndarray = catalog.features[settings.modality].values  # zeros for an item without the modality
    return values


def _codes(frame: pl.DataFrame, name: str) -> Int64[ndarray, "n_items"]:
    """Return one number for each distinct value of a column; -1 for an item without a value."""
    if name not in frame.columns:
        raise ValueError(f"max_per names the item column {name!r}, but the columns are {shortlist(frame.columns)}")
    column = frame.get_column(name)
    if column.dtype.is_nested():
        raise ValueError(f"max_per needs a column with one value per item, but {name!r} holds lists or structures")
    column = column.fill_nan(None) if column.dtype.is_float() else column
    codes: ndarray = column.rank("dense").cast(pl.Int64).fill_null(-1).to_numpy()
    return codes
