"""Lists of one relevant item among drawn items, worked by hand and by brute force."""

import numpy as np
import pytest
import torch

from flatrec.data.interactions import Interactions
from flatrec.evaluation import evaluate_scorer
from flatrec.evaluation import sampled as sampling
from flatrec.evaluation.metrics import EvaluationData

NAMES = ("sampled_hit_rate", "sampled_ndcg")


def interactions(rows, n_items):
    users, items, splits = np.array(rows).T
    return Interactions(users, items, splits, int(users.max()) + 1, n_items)


# User 0 has 0 in training, 1 and 2 in test; user 1 has 3 in training, 0 in validation, 4 in test.
SMALL = interactions([(0, 0, 0), (0, 1, 2), (0, 2, 2), (1, 3, 0), (1, 0, 1), (1, 4, 2)], 6)
SCORES = torch.tensor([[9.0, 3, 1, 5, 2, 2], [9.0, 1, 2, 9, 1, 0]])


def evaluated(**options):
    return evaluate_scorer(
        lambda block: SCORES[block], SMALL, split="test", ks=(1, 2), metrics=NAMES, sampled_negatives=9, **options
    )


def test_each_relevant_item_is_ranked_alone_among_what_its_user_has_in_no_split():
    # User 0 may get 3, 4, 5 beside one relevant item: 1 (3.0) is second after 3 (5.0), and 2 (1.0) is last of four.
    # User 1 may get 1, 2, 5: 4 (1.0) is third, after 2 (2.0) and after 1, which has the same score and a lower index.
    result = evaluated()
    assert result.per_user["sampled_hit_rate@1"].tolist() == [0, 0]
    assert result.per_user["sampled_hit_rate@2"].tolist() == [0.5, 0]
    assert result.per_user["sampled_ndcg@2"].tolist() == pytest.approx([0.5 / np.log2(3), 0])
    assert result.metrics["sampled_hit_rate@2"] == 0.25
    assert result.users.tolist() == [0, 1]


def test_sampled_and_complete_rankings_stand_side_by_side():
    both = evaluate_scorer(
        lambda block: SCORES[block], SMALL, split="test", ks=(2,), metrics=("ndcg", *NAMES), sampled_negatives=9
    )
    alone = evaluate_scorer(lambda block: SCORES[block], SMALL, split="test", ks=(2,), metrics=("ndcg",))
    assert both.metrics["ndcg@2"] == alone.metrics["ndcg@2"]
    assert list(both.metrics) == ["ndcg@2", "sampled_hit_rate@2", "sampled_ndcg@2"]


@pytest.fixture
def random_data():
    stream = np.random.default_rng(0)
    cells = stream.choice(40 * 60, 900, replace=False)
    splits = stream.integers(0, 3, 900)
    return Interactions(cells // 60, cells % 60, splits, 40, 60)


def lists(data, score, n_negatives, k=60):
    users = torch.from_numpy(np.unique(data.indices("test")[0]).astype(np.int64))
    return sampling.sampled_lists(score, EvaluationData(data, "test", users), k, n_negatives)


def test_what_is_drawn_is_distinct_and_never_of_the_user(random_data):
    scores = torch.rand(40, 60, generator=torch.Generator().manual_seed(0))
    found = lists(random_data, lambda block: scores[block], 10)
    owners = found.data.users.tolist()
    users, items = random_data.users, random_data.items
    test_users, test_items = random_data.matrix("test").nonzero()
    assert len(owners) == random_data.count("test")
    assert sorted(owners) == owners == test_users.tolist()
    for row, (user, positive) in enumerate(zip(owners, test_items.tolist(), strict=True)):
        listed = [item for item in found.items[row].tolist() if item >= 0]
        assert len(listed) == len(set(listed)) == 11
        assert positive in listed
        assert set(listed) & set(items[users == user].tolist()) == {positive}
        assert found.scores[row, :11].tolist() == sorted(scores[user, listed].tolist(), reverse=True)
        assert found.hits[row].nonzero().item() == listed.index(positive)


def test_every_unseen_item_is_drawn_equally_often():
    data = interactions([(0, item, 0 if item % 3 else 2) for item in range(0, 12)], 20)  # 8 items are left: 12 to 19
    stream = np.random.default_rng(1)
    drawn = sampling._Unseen(data).draw(np.zeros(20_000, np.int64), stream.random((20_000, 3)))
    counts = np.bincount(drawn.ravel(), minlength=20)
    assert not counts[:12].any()
    assert np.abs(counts[12:] / 20_000 - 3 / 8).max() < 0.015  # four standard deviations
    sets = np.unique(np.sort(drawn, axis=1), axis=0, return_counts=True)[1]
    assert len(sets) == 56  # all sets of 3 of 8
    assert np.abs(sets / 20_000 - 1 / 56).max() < 0.004


def test_draws_do_not_depend_on_blocks(random_data, monkeypatch):
    scores = torch.rand(40, 60, generator=torch.Generator().manual_seed(0))
    whole = lists(random_data, lambda block: scores[block], 10)
    monkeypatch.setattr("flatrec.evaluation.sampled.BLOCK_SCORES", 1)
    monkeypatch.setattr("flatrec.evaluation.sampled.BLOCK_USERS", 7)
    assert torch.equal(lists(random_data, lambda block: scores[block], 10).items, whole.items)


def test_a_user_with_fewer_unseen_items_gets_all_of_them(random_data):
    scores = torch.zeros(40, 60)
    found = lists(random_data, lambda block: scores[block], 59)
    seen = np.bincount(random_data.users, minlength=40)
    assert ((found.items >= 0).sum(dim=1).numpy() == 60 - seen[found.data.users.numpy()] + 1).all()
    ordered = found.items[0][found.items[0] >= 0].tolist()
    assert ordered == sorted(ordered)  # equal scores, by item index
