"""How well items that were held out entirely are recommended to the users who bought them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from flatrec.config import Options
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions, Split
from flatrec.evaluation import Result, Scorer, evaluate_scorer, inner_product, seen_mask
from flatrec.inference.cold_start.baselines import content_scorer, expected_at_random
from flatrec.inference.cold_start.embeddings import Placed, check_able, place, stacked
from flatrec.inference.cold_start.holdout import Holdout
from flatrec.inference.cold_start.new_items import NewItems, separated
from flatrec.inference.run import Run
from flatrec.models.base import Cold

SCORED: Split = "test"  # where the pairs to find stand in what is scored, whichever part they are for


@dataclass(frozen=True)
class Comparison:
    """Metrics of the model and of the baselines, on the same users and candidates.

    Args:
        model: the model, the new items placed its way.
        content: likeness to what the user bought, without learning.
        random: the exact expectation of a random order; without coverage and popularity.
    """

    model: Mapping[str, float]
    content: Mapping[str, float]
    random: Mapping[str, float]


@dataclass(frozen=True)
class ColdResult:
    """What held-out items were found by.

    Args:
        way: how the model placed them.
        users: users scored, who have a pair with a cold item.
        pairs: these pairs.
        items: cold items.
        untrained: users scored whose training pairs were all held out, so that they are known by nothing.
        featureless: cold items that lack every modality: nothing can list them, so their pairs are misses.
        among_cold: the candidates are the cold items of the part.
        among_all: these and all warm items that the user has no training pair with.
    """

    way: Cold
    users: int
    pairs: int
    items: int
    untrained: int
    featureless: int
    among_cold: Comparison
    among_all: Comparison


def evaluate_cold(
    run: Run,
    options: Options,
    holdout: Holdout,
    *,
    split: Split = "test",
    neighbors: int = 10,
    way: Cold | None = None,
) -> ColdResult:
    """Score the cold items of a part with a model that was trained on the warm ones.

    All pairs of the cold items count as hits, whichever part of the split they are in. Cold items of the other part
    are no candidates, so that what is chosen on validation knows nothing of test.

    Args:
        run: trained on ``holdout.warm``.
        options: the settings that its model was made with.
        holdout: the items.
        split: which of the cold items.
        neighbors: known items a modality that the model's way draws on.
        way: another than the model's own; see :func:`flatrec.inference.cold_start.place`.

    Raises:
        ValueError: the run was not trained on ``holdout.warm``, its model cannot place new items, no cold item has a
            feature, or part is ``train``.
    """
    check_able(run.recommender, run.dataset, way=way, neighbors=neighbors)
    if run.dataset.fingerprint != holdout.warm.fingerprint:
        raise ValueError(
            "the run was not trained on holdout.warm, so it may know the cold items; train it with "
            "warm_run(experiment, holdout, folder)"
        )
    items = cold_items(holdout, split)
    numbers = holdout.cold[split]
    features = {name: one.take(numbers) for name, one in holdout.whole.features.items()}
    placed = place(run, options, items, neighbors=neighbors, way=way)
    new = Interactions(*_pairs(holdout, numbers), holdout.whole.n_users, len(numbers))
    every = _behind_warm(run, new, split)
    users = np.unique(new.users)
    return ColdResult(
        placed.way,
        len(users),
        len(new),
        len(numbers),
        int((np.bincount(run.dataset.interactions.indices("train")[0], minlength=new.n_users) == 0)[users].sum()),
        len(items.featureless),
        _compared(run, new, *_scorers(run, placed, features, warm=False)),
        _compared(run, every, *_scorers(run, placed, features, warm=True)),
    )


def cold_items(holdout: Holdout, split: Split) -> NewItems:
    """The cold items of a part, told apart by whether anything is known of them.

    Raises:
        ValueError: none has a feature, or part is ``train``.
    """
    if split == "train":
        raise ValueError("no item is held out for training; choose valid or test")
    numbers = holdout.cold[split]
    features = {name: one.take(numbers) for name, one in holdout.whole.features.items()}
    items = separated([holdout.whole.items[number] for number in numbers.tolist()], features, holdout.warm)
    if not items.ids:
        raise ValueError(f"none of the {len(numbers)} items held out for {split} has a feature; draw by another --seed")
    return items


def _pairs(
    holdout: Holdout, numbers: Int64[ndarray, "n_cold"]
) -> tuple[Int64[ndarray, "n"], Int64[ndarray, "n"], Int64[ndarray, "n"]]:
    """Users, items by place among the cold ones, and parts, of all pairs of the cold items."""
    pairs = holdout.whole.interactions
    chosen = np.isin(pairs.items, numbers)
    parts = np.full(int(chosen.sum()), 2, dtype=np.int64)
    return pairs.users[chosen].astype(np.int64), np.searchsorted(numbers, pairs.items[chosen]), parts


def _behind_warm(run: Run, new: Interactions, split: Split) -> Interactions:
    """The pairs to find, the cold items numbered behind the warm ones, and the pairs that are never recommended.

    Warm validation pairs are there where the run's mask hides them, which it does as test is scored.
    """
    warm = run.dataset.interactions
    kept = warm.mask("train") | (warm.mask("valid") & (split == "test"))
    return Interactions(
        np.concatenate([warm.users[kept], new.users]).astype(np.int64),
        np.concatenate([warm.items[kept], new.items + warm.n_items]).astype(np.int64),
        np.concatenate([warm.splits[kept], new.splits]).astype(np.int64),
        warm.n_users,
        warm.n_items + new.n_items,
    )


def _scorers(run: Run, placed: Placed, features: Mapping[str, Features], *, warm: bool) -> tuple[Scorer, Scorer]:
    """That of the model and that of content, over the cold items, behind the warm ones where these are candidates."""
    known, bought = run.dataset.features, run.dataset.interactions.matrix("train")
    offset = run.dataset.n_items if warm else 0
    n_items = offset + len(next(iter(features.values())).present)
    places = torch.cat([torch.arange(offset), torch.from_numpy(placed.items.rows) + offset])
    vectors = torch.cat([placed.known[:offset], placed.new])
    content = content_scorer(bought, known, stacked(known, features) if warm else features)
    return (
        _spread(inner_product(placed.users, vectors), places, n_items),
        _spread(lambda block: content(block)[:, places], places, n_items),
    )


def _spread(score: Scorer, places: Int64[Tensor, "n_placed"], n_items: int) -> Scorer:
    """The scores at these places, minus infinity, which is never listed, elsewhere."""

    def spread(block: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        scores = torch.full((len(block), n_items), -torch.inf)
        scores[:, places] = score(block)
        return scores

    return spread


def _compared(run: Run, pairs: Interactions, model: Scorer, content: Scorer) -> Comparison:
    results: list[Result] = [
        evaluate_scorer(score, pairs, split=SCORED, ks=run.ks, mask=run.mask) for score in (model, content)
    ]
    users = results[0].users.numpy()
    relevant = np.diff(pairs.matrix(SCORED).indptr)[users]
    candidates = pairs.n_items - np.diff(seen_mask(pairs, SCORED, run.mask).indptr)[users]
    random = expected_at_random(relevant.astype(np.int64), candidates.astype(np.int64), run.ks)
    return Comparison(results[0].metrics, results[1].metrics, random)
