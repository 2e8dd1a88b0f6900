import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.evaluation import evaluate, evaluate_scorer
from flatrec.models import BASELINES, MODELS, ItemKNN, Popularity
from tests.models.settings import GIVEN_AWAY, SETTINGS, make

EPOCHS = 30


@pytest.fixture
def dataset():
    return testing.block_dataset()


@pytest.fixture
def batch(dataset):
    return testing.whole_batch(dataset)


@pytest.fixture(params=sorted(MODELS))
def name(request):
    return request.param


def test_every_model_has_a_row():
    assert set(SETTINGS) == set(MODELS)


@pytest.mark.parametrize("settings", ["defaults", pytest.param("small", marks=pytest.mark.repeats)])
def test_every_model_passes_every_check(name, settings, monkeypatch):
    if settings == "small":  # the same settings take steps with every strategy in test_with_strategies
        monkeypatch.setattr("flatrec.testing.runner.check_strategies", lambda *_: None)
    options = SETTINGS[name] if settings == "small" else {}
    findings = testing.check_model(lambda data: MODELS[name](data, MODELS[name].Config(**options)))
    assert [(one.check, one.reason) for one in findings if one.outcome != "ok"] == []


def test_a_copy_is_independent(name, dataset, batch):
    model = make(name, dataset)
    before = testing.scores(model)
    other = copy.deepcopy(model)
    assert torch.equal(testing.scores(other), before)
    testing.check_step(other, batch)
    assert torch.equal(testing.scores(model), before)


def test_bpr_and_lightgcn_penalize_the_norms_of_the_rows_before_propagation(dataset, batch):
    bought = dataset.interactions.matrix("train").toarray().astype(np.float64)
    adjacency = np.block([[np.zeros((30, 30)), bought], [bought.T, np.zeros((24, 24))]])
    roots = np.diag(adjacency.sum(axis=1) ** -0.5)
    step = torch.from_numpy((np.eye(54) + roots @ adjacency @ roots) / 2)  # one layer
    for name, options, propagate in (("bpr", {}, torch.eye(54).double()), ("lightgcn", {"n_layers": 1}, step)):
        model = MODELS[name](dataset, MODELS[name].Config(embedding_dim=4, reg_weight=0.7, **options))
        table = model.nodes.detach().double()
        places = (batch.users, batch.positives + 30, batch.negatives[:, 0] + 30)
        users, positives, negatives = ((propagate @ table)[numbers] for numbers in places)
        margins = (users * (positives - negatives)).sum(dim=1)
        norms = sum(table[numbers].square().sum().sqrt() for numbers in places)
        expected = -margins.sigmoid().log().mean() + 0.7 * norms / len(batch)
        assert model.loss(model.encode(), batch).item() == pytest.approx(expected.item(), rel=1e-5), name


def recall(model, dataset, part="test", at=2):
    with torch.no_grad():
        users, items = model.eval().user_item_embeddings(model.encode())
    return evaluate(users, items, dataset.interactions, split=part, ks=[at]).metrics[f"recall@{at}"]


def test_training_finds_the_items_held_out(name, dataset):
    # Two items are left of each block: the held-out ones. Untrained, a model finds few of them, unless what it is built
    # of (features of users' items, or a sum over modalities) gives the blocks away at once.
    model = make(name, dataset)
    assert recall(model, dataset) < 0.5 or name in GIVEN_AWAY
    testing.fit(model, dataset, epochs=EPOCHS)
    assert recall(model, dataset) > 0.9
    assert recall(model, dataset, "valid") > 0.9


def shop(users, items, n_users, n_items):
    pairs = Interactions(
        np.array(users, np.int32), np.array(items, np.int32), np.zeros(len(users), np.int8), n_users, n_items
    )
    ids = [Vocabulary(kind, [str(number) for number in range(n)]) for kind, n in (("user", n_users), ("item", n_items))]
    return Dataset("shop", pairs, *ids)


@pytest.fixture
def small_shop():
    # u0: a b; u1: a b c; u2: a; u3: c; nobody: d.
    return shop([0, 0, 1, 1, 1, 2, 3], [0, 1, 0, 1, 2, 0, 2], 4, 4)


def test_popularity_scores_the_number_of_training_pairs(small_shop):
    popularity = Popularity(small_shop)
    scores = popularity.scoring().scores(torch.tensor([3, 0]))
    assert scores.tolist() == [[3, 2, 2, 0], [3, 2, 2, 0]]
    assert popularity.scoring().item_similarities(1).tolist() == [-1, 0, 0, -2]


def test_popularity_counts_training_pairs_only():
    blocks = testing.block_dataset(blocks=1, users=1, items=4)
    assert Popularity(blocks).scoring().scores(torch.tensor([0])).tolist() == [[0, 0, 1, 1]]


# By hand: |a| = 3, |b| = 2, |c| = 2; both: ab 2, ac 1, bc 1.
ROOT = 6**0.5


@pytest.mark.parametrize(("shrink", "norms"), [(0.0, (ROOT, ROOT, 2)), (1.0, (ROOT + 1, ROOT + 1, 3))])
def test_item_knn_is_as_worked_by_hand(small_shop, shrink, norms):
    ab, ac, bc = 2 / norms[0], 1 / norms[1], 1 / norms[2]
    knn = ItemKNN(small_shop, ItemKNN.Config(shrinkage=shrink))
    expected = [[ab, ab, ac + bc, 0], [ab + ac, ab + bc, ac + bc, 0], [0, ab, ac, 0], [ac, bc, 0, 0]]
    torch.testing.assert_close(knn.scoring().scores(torch.arange(4)), torch.tensor(expected))
    torch.testing.assert_close(knn.scoring().scores(torch.tensor([2, 0])), torch.tensor([expected[2], expected[0]]))
    torch.testing.assert_close(knn.scoring().item_similarities(0), torch.tensor([1, ab, ac, 0]))
    assert knn.scoring().item_similarities(3).tolist() == [0, 0, 0, 1]


@pytest.fixture
def weighted_shop(small_shop):
    # u0: a 1, b 2; u1: a 3, b 1, c 2; u2: a 1; u3: c 4.
    weights = np.array([1, 2, 3, 1, 2, 1, 4], dtype=np.float32)
    return small_shop.with_interactions(replace(small_shop.interactions, weights=weights))


def test_popularity_scores_the_sum_of_weights(weighted_shop):
    popularity = Popularity(weighted_shop)
    assert popularity.scoring().scores(torch.tensor([3, 0])).tolist() == [[5, 3, 6, 0], [5, 3, 6, 0]]
    assert popularity.scoring().item_similarities(1).tolist() == [-2, 0, -3, -3]


@pytest.mark.parametrize("shrink", [0.0, 1.0])
def test_weighted_item_knn_is_as_worked_by_hand(weighted_shop, shrink):
    # Squares: a 1 + 9 + 1 = 11, b 4 + 1 = 5, c 4 + 16 = 20. Products: ab 2 + 3 = 5, ac 6, bc 2.
    ab, ac, bc = 5 / (55**0.5 + shrink), 6 / (220**0.5 + shrink), 2 / (10 + shrink)
    knn = ItemKNN(weighted_shop, ItemKNN.Config(shrinkage=shrink))
    expected = [
        [2 * ab, ab, ac + 2 * bc, 0],
        [ab + 2 * ac, 3 * ab + 2 * bc, 3 * ac + bc, 0],
        [0, ab, ac, 0],
        [4 * ac, 4 * bc, 0, 0],
    ]
    torch.testing.assert_close(knn.scoring().scores(torch.arange(4)), torch.tensor(expected))
    torch.testing.assert_close(knn.scoring().item_similarities(0), torch.tensor([1, ab, ac, 0]))


def test_item_knn_takes_weights_whose_products_leave_single_precision(small_shop):
    weights = np.array([1, 2, 3, 1, 2, 1, 4], dtype=np.float32) * 1e12
    large = small_shop.with_interactions(replace(small_shop.interactions, weights=weights))
    similarities = ItemKNN(large, ItemKNN.Config(shrinkage=0.0)).scoring().item_similarities(0)
    torch.testing.assert_close(similarities, torch.tensor([1, 5 / 55**0.5, 6 / 220**0.5, 0]))


@pytest.mark.parametrize("baseline", sorted(BASELINES))
def test_equal_weights_and_none_give_baselines_the_same_bits(baseline, dataset):
    ones = np.ones(len(dataset.interactions), dtype=np.float32)
    weighted = dataset.with_interactions(replace(dataset.interactions, weights=ones))
    users = torch.arange(dataset.n_users)
    assert torch.equal(
        BASELINES[baseline](weighted).scoring().scores(users), BASELINES[baseline](dataset).scoring().scores(users)
    )


def test_item_knn_keeps_the_nearest_of_each_item_that_was_bought(small_shop):
    ab, ac, bc = 2 / ROOT, 1 / ROOT, 1 / 2
    # Kept: a -> b, b -> a, c -> b (bc is the larger). Scores add the rows of what was bought.
    scores = ItemKNN(small_shop, ItemKNN.Config(n_neighbors=1, shrinkage=0.0)).scoring().scores(torch.arange(4))
    expected = [[ab, ab, 0, 0], [ab, ab + bc, 0, 0], [0, ab, 0, 0], [0, bc, 0, 0]]
    assert ac < bc < ab
    torch.testing.assert_close(scores, torch.tensor(expected))


def test_item_knn_does_not_depend_on_its_blocks(dataset, monkeypatch):
    whole = ItemKNN(dataset).scoring().scores(torch.arange(dataset.n_users))
    for rows in (1, 5, 24):
        monkeypatch.setattr("flatrec.models.neighbors.BLOCK_ENTRIES", rows * dataset.n_items)
        torch.testing.assert_close(ItemKNN(dataset).scoring().scores(torch.arange(dataset.n_users)), whole)


def test_item_knn_finds_the_items_held_out(dataset):
    result = evaluate_scorer(ItemKNN(dataset).scoring().scores, dataset.interactions, split="test", ks=[2])
    assert result.metrics["recall@2"] == 1


@pytest.mark.parametrize("baseline", sorted(BASELINES))
def test_baselines_give_finite_scores_of_all_items(baseline, dataset):
    scores = BASELINES[baseline](dataset).scoring().scores(torch.tensor([5, 0, 5]))
    assert scores.shape == (3, dataset.n_items)
    assert scores.isfinite().all()
    assert torch.equal(scores[0], scores[2])
    similarities = BASELINES[baseline](dataset).scoring().item_similarities(2)
    assert similarities.shape == (dataset.n_items,)
    assert similarities[2] >= similarities.max() - 1e-6
