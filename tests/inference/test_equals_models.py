"""Every model and baseline: the recommender's lists are those of ranking the model's own scores, to the last bit.

What is expected is computed from the model itself: the scores of all items, ranked after the interactions of all splits
are left out, and cosines of item embeddings for similar items.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.nn import functional as F

import flatrec
from flatrec.evaluation import inner_product, rank
from flatrec.inference.matching import all_interactions
from flatrec.inference.run import Run
from flatrec.inference.storage import save_recommender
from flatrec.models import BASELINES, MODELS
from flatrec.models.scoring import UserMatrix, Vectors, dense
from flatrec.testing import tiny_dataset
from tests.models.settings import make

TRAINED = ("untrained", "trained", "tied")
BASELINE_DATA = ("counts", "weights")


def weighted(dataset):
    """The same data with weights whose sums depend on the order in which they are added up."""
    interactions = dataset.interactions
    weights = np.random.default_rng(0).uniform(0.1, 3, len(interactions)).astype(np.float32)
    return replace(dataset, interactions=replace(interactions, weights=weights))


def tie_every_second(embed):
    """Give every second item the embedding of the one before."""

    def tied(encoded):
        users, items = embed(encoded)
        items = items.clone()
        items[1::2] = items[: len(items) - 1 : 2]
        return users, items

    return tied


def run_of(name, state):
    if name in BASELINES:
        dataset = weighted(tiny_dataset()) if state == "weights" else tiny_dataset()
        return Run(dataset, BASELINES[name](dataset))
    dataset = tiny_dataset()
    model = make(name, dataset)
    if state == "trained":
        return flatrec.fit(dataset, model, "plain", training=flatrec.Training(epochs=1, batch_size=64))
    if state == "tied":
        model.user_item_embeddings = tie_every_second(model.user_item_embeddings)
    return Run(dataset, model)


@torch.no_grad()
def own_scores(run):
    """A scorer of the model's own, and a function that gives the similarities of all items to one."""
    model = run.model
    if isinstance(model, torch.nn.Module):
        model.eval()
        users, items = model.user_item_embeddings(model.encode())
        directions = F.normalize(items, dim=1)
        return inner_product(users, items), lambda item: directions @ directions[item]
    if isinstance(model.scoring(), Vectors):
        vectors = model.scoring()
        directions = F.normalize(vectors.items, dim=1)
        return inner_product(vectors.users, vectors.items), lambda item: directions @ directions[item]
    if type(model).__name__ == "Popularity":
        weights = model.item_weights
        return lambda block: weights.expand(len(block), -1), lambda item: 0 - (weights - weights[item]).abs()

    if isinstance(model.scoring(), UserMatrix):
        columns = model.bought.toarray().astype(np.float64)
        lengths = np.sqrt((columns**2).sum(axis=0))

        def cosines(item):
            norms = lengths * lengths[item]
            row = torch.from_numpy(columns.T @ columns[:, item] / np.where(norms > 0, norms, 1)).float()
            row[item] = 1
            return row

        return lambda block: torch.from_numpy((model.similarities[block.numpy()] @ model.bought).toarray()), cosines

    def similarities(item):
        row = torch.from_numpy(dense(model.similarities[[item]])[0].copy())
        row[item] = 1
        return row

    def score(block):
        return torch.from_numpy(dense(model.bought[block.numpy()] @ model.similarities))

    return score, similarities


def as_lists(ranking):
    """The items and scores of a ranking, row by row."""
    return [
        [(f"item {item}", score) for item, score in zip(*row, strict=True) if item >= 0]
        for row in zip(ranking.items.tolist(), ranking.scores.tolist(), strict=True)
    ]


def answered(lists):
    return [[(one.item, one.score) for one in answer] for answer in lists]


def expected_lists(run, k, *, filter_seen):
    score, _ = own_scores(run)
    dataset = run.dataset
    seen = all_interactions(dataset.interactions)
    if not filter_seen:
        seen = sparse.csr_array(seen.shape, dtype=np.float32)
    return as_lists(rank(score, torch.arange(dataset.n_users), k, seen))


def expected_similar(run, k):
    _, similarities = own_scores(run)
    n_items, first = run.dataset.n_items, torch.zeros(1, dtype=torch.int64)
    lists = []
    for item in range(n_items):
        itself = sparse.csr_array(([1.0], ([0], [item])), shape=(1, n_items))
        lists += as_lists(rank(lambda _, item=item: similarities(item)[None], first, k, itself))
    return lists


CASES = [(name, state) for name in MODELS for state in TRAINED]
CASES += [(name, state) for name in BASELINES for state in BASELINE_DATA]


@pytest.mark.repeats
@pytest.mark.parametrize(("name", "state"), CASES)
def test_lists_and_similar_items_equal_the_model_s_own_before_and_after_saving(name, state, tmp_path):
    run = run_of(name, state)
    users, items, n_items = list(run.dataset.users), list(run.dataset.items), run.dataset.n_items
    save_recommender(run.recommender, tmp_path / "recommender")
    for recommender in (run.recommender, flatrec.load_recommender(tmp_path / "recommender")):
        for k in (1, 5, n_items):
            for filter_seen in (True, False):
                found = answered(recommender.recommend(users, k, filter_seen=filter_seen))
                assert found == expected_lists(run, k, filter_seen=filter_seen)
            assert answered(recommender.similar(items, k)) == expected_similar(run, k)
        assert answered(recommender.recommend(users)) == expected_lists(run, 10, filter_seen=True)
    assert answered(run.recommend(users)) == expected_lists(run, 10, filter_seen=True)
    assert answered([run.similar(items[3])]) == [expected_similar(run, 10)[3]]


@pytest.mark.repeats
@pytest.mark.parametrize("name", [*MODELS, *BASELINES])
def test_the_ties_of_these_tests_are_ties(name):
    run = run_of(name, "counts" if name in BASELINES else "tied")
    scores = own_scores(run)[0](torch.arange(run.dataset.n_users))
    tied = [len(row.unique()) < len(row) for row in scores]
    assert sum(tied) > len(tied) / 2


def test_one_user_at_a_time_gets_the_same_items_as_all_at_once():
    run = run_of("lightgcn", "tied")
    users = list(run.dataset.users)
    together = run.recommender.recommend(users, 10)
    alone = [run.recommender.recommend(user, 10)[0] for user in users]
    assert [[one.item for one in answer] for answer in alone] == [[one.item for one in answer] for answer in together]


def test_a_run_that_masks_nothing_recommends_seen_items():
    run = replace(run_of("item-knn", "counts"), mask="none")
    users = list(run.dataset.users)
    assert answered(run.recommend(users, 5)) == expected_lists(run, 5, filter_seen=False)
