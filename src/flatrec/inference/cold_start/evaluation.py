"""How well items that were held out entirely are recommended to the users who interacted with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from flatrec.config import Experiment
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions, Split
from flatrec.evaluation import Scorer, evaluate_scorer, inner_product, seen_mask
from flatrec.evaluation.evaluate import Mask
from flatrec.evaluation.scored_users import ScoredUsers, scored_mask
from flatrec.inference.catalog import concatenated
from flatrec.inference.cold_start.baselines import content_scorer, expected_at_random
from flatrec.inference.cold_start.embeddings import check_supported
from flatrec.inference.cold_start.holdout import Holdout, hold_out_items, train_without_held_out
from flatrec.inference.cold_start.recommend import joined_to_run
from flatrec.inference.joining import JoinedItems
from flatrec.inference.known_items import KnownItems
from flatrec.inference.new_items import NewItems, with_features
from flatrec.inference.run import Run
from flatrec.models.base import Cold
from flatrec.models.scoring import Scoring, Vectors
from flatrec.training import Callback

SCORED: Split = "test"  # the split of the relevant interactions in what is scored, whichever split is asked for


@dataclass(frozen=True)
class BaselineComparison:
    """Metrics of the model and of the baselines, on the same users and candidates.

    Args:
        model: the model, with the embeddings of new items by its method.
        content: similarity to what the user interacted with, without learning.
        random: the exact expectation of a random order, of the metrics that state one.
    """

    model: Mapping[str, float]
    content: Mapping[str, float]
    random: Mapping[str, float]


@dataclass(frozen=True)
class ColdStartResult:
    """The evaluation of held-out items.

    Args:
        split: which of the held-out items were scored.
        fraction: fraction of the items that was held out for each split.
        seed: seed of the draw.
        n_neighbors: number of known items per modality that an embedding draws on.
        mask: what was never recommended.
        method: how the model embedded the held-out items.
        scale: what their embeddings were multiplied by, so that they compete with known items; see
            :mod:`flatrec.inference.calibration`.
        users: which users were scored, as ``evaluation.users`` of the run says.
        n_users: number of users scored, who have an interaction with a held-out item.
        n_interactions: number of these interactions.
        n_items: number of held-out items.
        n_users_without_training: users scored whose training interactions were all held out; nothing is known of them.
        n_items_without_features: held-out items that lack every modality: they cannot be listed, and count as misses.
        among_held_out: the candidates are the held-out items of the split.
        among_all: the candidates are these and all known items that the user has no training interaction with.
    """

    split: Split
    fraction: float
    seed: int
    n_neighbors: int
    mask: Mask
    method: Cold
    scale: float
    users: ScoredUsers
    n_users: int
    n_interactions: int
    n_items: int
    n_users_without_training: int
    n_items_without_features: int
    among_held_out: BaselineComparison
    among_all: BaselineComparison


def evaluate_cold_start(
    run: Run,
    experiment: Experiment,
    out: Path,
    *,
    split: Split = "test",
    fraction: float = 0.1,
    seed: int = 0,
    n_neighbors: int = 10,
    method: str | None = None,
    callbacks: Sequence[Callback] = (),
) -> ColdStartResult:
    """Hold items out of a run's data, train its settings without them, and score them.

    Args:
        run: a finished run, whose data and model say what can be held out.
        experiment: its settings.
        out: run folder of the training without the held-out items; what it holds is resumed, or read if finished.
        split: which of the held-out items are scored.
        fraction: fraction of the items held out for each split, between 0 and 0.5.
        seed: seed of the draw.
        n_neighbors: number of known items per modality that an embedding draws on, at least 1.
        method: ``features`` or ``nearest``; None for the method of the model's class.
        callbacks: objects that are notified of the progress.

    Raises:
        ValueError: the model cannot embed new items or not by this method, a setting is out of range, no held-out item
            has a feature or an interaction with a scored user, or ``out`` holds a run with other settings or of other
            data.
        DivergedError: ten steps in a row had no finite gradient.
    """
    check_supported(run, method=method, n_neighbors=n_neighbors)
    holdout = hold_out_items(run.dataset, fraction, seed)
    held_out_items(holdout, split)  # refuses what it must before anything is trained
    _relevant(holdout, split, run.users)
    trained = train_without_held_out(experiment, holdout, out, callbacks)
    return evaluate_held_out(trained, holdout, split=split, n_neighbors=n_neighbors, method=method)


def evaluate_held_out(
    run: Run, holdout: Holdout, *, split: Split = "test", n_neighbors: int = 10, method: str | None = None
) -> ColdStartResult:
    """Score the held-out items of a split with a model that was trained on the remaining items.

    All interactions of the scored users with held-out items count as hits, whichever split they are in. Held-out items
    of the other split are no candidates, so that what is chosen on validation knows nothing of test.

    Args:
        run: trained on ``holdout.remaining``.
        holdout: the items.
        split: which of the held-out items are scored.
        n_neighbors: number of known items per modality that an embedding draws on.
        method: another method than the model's own; see :func:`flatrec.inference.cold_start.embed_new_items`.

    Raises:
        ValueError: the run was not trained on ``holdout.remaining``, its model cannot embed new items, no held-out
            item has a feature or an interaction with a scored user, or split is ``train``.
    """
    check_supported(run, method=method, n_neighbors=n_neighbors)
    if run.dataset.fingerprint != holdout.remaining.fingerprint:
        raise ValueError(
            "the run was not trained on holdout.remaining, so it may know the held-out items; train it with "
            "train_without_held_out(experiment, holdout, folder)"
        )
    items = held_out_items(holdout, split)
    indices = holdout.items[split]
    features = {name: table.take(indices) for name, table in holdout.full.features.items()}
    joined = joined_to_run(run, items, n_neighbors=n_neighbors, method=method)
    relevant = _relevant(holdout, split, run.users)
    with_known = _after_known(run, relevant, split)
    users = np.unique(relevant.users)
    n_training = np.bincount(run.dataset.interactions.indices("train")[0], minlength=relevant.n_users)
    return ColdStartResult(
        split=split,
        fraction=holdout.fraction,
        seed=holdout.seed,
        n_neighbors=n_neighbors,
        mask=run.mask,
        method=joined.method,
        scale=joined.calibration.scale,
        users=run.users,
        n_users=len(users),
        n_interactions=len(relevant),
        n_items=len(indices),
        n_users_without_training=int((n_training == 0)[users].sum()),
        n_items_without_features=len(items.without_features),
        among_held_out=_compared(run, relevant, *_scorers(run, joined, features, include_known=False)),
        among_all=_compared(run, with_known, *_scorers(run, joined, features, include_known=True)),
    )


def held_out_items(holdout: Holdout, split: Split) -> NewItems:
    """Return the held-out items of a split that have features, and list the others as without features.

    Raises:
        ValueError: none has a feature, or split is ``train``.
    """
    if split == "train":
        raise ValueError("no item is held out for training; choose valid or test")
    indices = holdout.items[split]
    features = {name: table.take(indices) for name, table in holdout.full.features.items()}
    items = with_features(
        [holdout.full.items[index] for index in indices.tolist()], features, KnownItems.of(holdout.remaining)
    )
    if not items.ids:
        raise ValueError(f"none of the {len(indices)} items held out for {split} has a feature; draw by another --seed")
    return items


def _relevant(holdout: Holdout, split: Split, users: ScoredUsers) -> Interactions:
    """Return all interactions of the scored users with the items held out for a split, whose positions are the items.

    Raises:
        ValueError: there is none.
    """
    interactions, indices = holdout.full.interactions, holdout.items[split]
    mask = np.isin(interactions.items, indices) & scored_mask(holdout.full, users)[interactions.users]
    if not mask.any():
        raise ValueError(
            f"none of the {len(indices)} items held out for {split} has an interaction with one of the {users} that "
            "evaluation.users scores; hold more out by --fraction, or draw by another --seed"
        )
    rows, splits = interactions.users[mask].astype(np.int64), np.full(int(mask.sum()), 2, dtype=np.int64)
    items = np.searchsorted(indices, interactions.items[mask])
    return Interactions(rows, items, splits, holdout.full.n_users, len(indices))


def _after_known(run: Run, relevant: Interactions, split: Split) -> Interactions:
    """Return the relevant interactions with the held-out items indexed after the known ones, and what is masked.

    Known validation interactions are included if the run's mask hides them, which it does when test is scored.
    """
    known = run.dataset.interactions
    masked = known.mask("train") | (known.mask("valid") & (split == "test"))
    return Interactions(
        np.concatenate([known.users[masked], relevant.users]).astype(np.int64),
        np.concatenate([known.items[masked], relevant.items + known.n_items]).astype(np.int64),
        np.concatenate([known.splits[masked], relevant.splits]).astype(np.int64),
        known.n_users,
        known.n_items + relevant.n_items,
    )


def _scorers(
    run: Run, joined: JoinedItems, features: Mapping[str, Features], *, include_known: bool
) -> tuple[Scorer, Scorer]:
    """Return the scorers of model and content over the held-out items, after the known ones if these are candidates."""
    known, interactions = run.dataset.features, run.dataset.interactions.matrix("train")
    offset = run.dataset.n_items if include_known else 0
    n_items = offset + len(next(iter(features.values())).present)
    columns = torch.cat([torch.arange(offset), torch.from_numpy(joined.items.rows) + offset])
    scoring, first = joined.recommender.scoring, run.dataset.n_items - offset  # the first candidate
    content = content_scorer(interactions, known, _after(known, features) if include_known else features)
    return (
        _spread(_from(scoring, first), columns, n_items),
        _spread(lambda block: content(block)[:, columns], columns, n_items),
    )


def _from(scoring: Scoring, first: int) -> Scorer:
    """Return a scorer of the items from an index on."""
    if isinstance(scoring, Vectors):
        return inner_product(scoring.users, scoring.items[first:])
    return lambda block: scoring.scores(block)[:, first:]


def _after(known: Mapping[str, Features], new: Mapping[str, Features]) -> dict[str, Features]:
    return {name: concatenated(table, new[name]) for name, table in known.items()}


def _spread(score: Scorer, columns: Int64[Tensor, "n_embedded"], n_items: int) -> Scorer:
    """Return a scorer with these scores in these columns, and minus infinity, which is never listed, elsewhere."""

    def spread(block: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        scores = torch.full((len(block), n_items), -torch.inf)
        scores[:, columns] = score(block)
        return scores

    return spread


def _compared(run: Run, interactions: Interactions, model: Scorer, content: Scorer) -> BaselineComparison:
    of_model, of_content = (
        evaluate_scorer(score, interactions, split=SCORED, ks=run.ks, mask=run.mask) for score in (model, content)
    )
    users = of_model.users.numpy()
    n_relevant = np.diff(interactions.matrix(SCORED).indptr)[users].astype(np.int64)
    n_seen = np.diff(seen_mask(interactions, SCORED, run.mask).indptr)[users]
    n_candidates = (interactions.n_items - n_seen).astype(np.int64)
    return BaselineComparison(
        of_model.metrics, of_content.metrics, expected_at_random(n_relevant, n_candidates, run.ks)
    )
