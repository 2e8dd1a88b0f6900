import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from flatrec.data.interactions import Interactions
from flatrec.evaluation import evaluate, evaluate_scorer, seen_mask
from flatrec.evaluation import ranking as module

SECOND = 1 / math.log2(3)

# Users 0 to 3, items 0 to 5. User 3 has nothing in test and user 1 nothing in validation.
TRAIN = [(0, 0), (1, 0), (1, 1), (2, 5), (3, 0), (3, 1), (3, 2)]
VALID = [(0, 4), (2, 0), (3, 3)]
TEST = [(0, 1), (0, 2), (1, 5), (2, 1), (2, 2), (2, 3)]
SCORES = torch.tensor(
    [
        [9.0, 5.0, 3.0, 2.0, 4.0, 1.0],  # without training: 1 4 2 3 5
        [9.0, 8.0, 7.0, 6.0, 5.0, 4.0],  # 2 3 4 5
        [6.0, 1.0, 3.0, 4.0, 5.0, 9.0],  # 0 4 3 2 1
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # 3 4 5
    ]
)


def interactions(train=TRAIN, valid=VALID, test=TEST, n_users=4, n_items=6):
    parts = [(pair, split) for split, pairs in enumerate((train, valid, test)) for pair in pairs]
    order = np.random.default_rng(0).permutation(len(parts))
    users, items = np.array([pair for pair, _ in parts], dtype=np.int32).reshape(-1, 2)[order].T
    return Interactions(users, items, np.array([split for _, split in parts], dtype=np.int8)[order], n_users, n_items)


def evaluated(pairs=None, scores=SCORES, **options):
    # Unit vectors as items: the users' rows are the scores.
    return evaluate(scores, torch.eye(scores.shape[1]), pairs or interactions(), **options)


def test_users_without_a_training_interaction_count_in_the_mean_and_are_counted():
    bare = interactions(train=[pair for pair in TRAIN if pair[0] != 1])
    found = evaluated(bare, split="test", ks=(2,))
    assert found.users.tolist() == [0, 1, 2]
    assert found.n_users_without_training == 1
    assert found.metrics["recall@2"] == pytest.approx(float(found.per_user["recall@2"].mean()))
    assert [
        evaluated(*data, split=split).n_users_without_training for data, split in (((), "test"), ((bare,), "valid"))
    ] == [0, 0]


def test_users_without_a_training_interaction_are_excluded_when_asked():
    bare = interactions(train=[pair for pair in TRAIN if pair[0] != 1])
    found = evaluated(bare, split="test", ks=(2,), unknown_users="exclude")
    assert found.users.tolist() == [0, 2]
    assert (found.n_users_without_training, found.unknown_users) == (1, "exclude")
    # Lists of two: 1* 4; 0 4. User 1 has item 5, which is listed last.
    assert found.per_user["recall@2"].tolist() == [1 / 2, 0]
    assert found.metrics["recall@2"] == 1 / 4
    with pytest.raises(ValueError, match="unknown_users=exclude leaves nobody to score"):
        evaluated(interactions(train=[(3, 0)]), split="test", unknown_users="exclude")


def test_interactions_with_items_without_training_are_counted():
    # Items 3 and 4 have no training interaction.
    assert evaluated(split="test").n_interactions_with_unknown_items == 1
    assert evaluated(split="valid").n_interactions_with_unknown_items == 2


def test_users_without_an_item_in_the_split_are_left_out():
    assert evaluated(split="test").users.tolist() == [0, 1, 2]
    assert evaluated(split="valid").users.tolist() == [0, 2, 3]


def test_the_test_split_is_as_worked_by_hand():
    # Lists of three: 1* 4 2*; 2 3 4; 0 4 3*.
    result = evaluated(split="test", ks=[1, 3])
    expected = {
        "recall@1": [1 / 2, 0, 0],
        "recall@3": [1, 0, 1 / 3],
        "precision@1": [1, 0, 0],
        "precision@3": [2 / 3, 0, 1 / 3],
        "hit_rate@1": [1, 0, 0],
        "hit_rate@3": [1, 0, 1],
        "ndcg@1": [1, 0, 0],
        "ndcg@3": [1.5 / (1 + SECOND), 0, 0.5 / (1.5 + SECOND)],
        "map@1": [1, 0, 0],
        "map@3": [(1 + 2 / 3) / 2, 0, 1 / 9],
    }
    assert set(result.per_user) == set(expected)
    for name, values in expected.items():
        assert result.per_user[name].tolist() == pytest.approx(values), name
        assert result.metrics[name] == pytest.approx(sum(values) / 3), name


def test_coverage_and_popularity_are_as_worked_by_hand():
    result = evaluated(split="test", ks=[1, 3])
    # First places 1, 2, 0; training interactions of items 0 to 5: 3 2 1 0 0 1.
    assert result.metrics["item_coverage@1"] == pytest.approx(3 / 6)
    assert result.metrics["avg_popularity@1"] == pytest.approx((2 + 1 + 3) / 3)
    # Lists 1 4 2, 2 3 4, 0 4 3.
    assert result.metrics["item_coverage@3"] == pytest.approx(5 / 6)
    assert result.metrics["avg_popularity@3"] == pytest.approx((2 + 0 + 1 + 1 + 0 + 0 + 3 + 0 + 0) / 9)


def test_the_validation_split_is_the_default_and_as_worked_by_hand():
    # Lists of two: 1 4*; 0* 4; 3* 4.
    result = evaluated(ks=[2])
    assert result.per_user["recall@2"].tolist() == [1, 1, 1]
    assert result.per_user["ndcg@2"].tolist() == pytest.approx([SECOND, 1, 1])


def test_validation_interactions_are_left_out_of_the_test_lists_when_asked():
    # Lists of two become 1* 2*; 2 3; 4 3*.
    result = evaluated(split="test", ks=[2], mask="train+valid")
    assert result.per_user["recall@2"].tolist() == pytest.approx([1, 0, 1 / 3])
    assert evaluated(split="test", ks=[2]).per_user["recall@2"].tolist() == pytest.approx([1 / 2, 0, 0])


def test_the_mask_does_not_hide_what_is_scored():
    plain, masked = (evaluated(split="valid", mask=mask) for mask in ("train", "train+valid"))
    assert plain.metrics == masked.metrics
    for split, mask, n_hidden in (("valid", "train+valid", 7), ("test", "train", 7), ("test", "train+valid", 10)):
        assert seen_mask(interactions(), split, mask).count_nonzero() == n_hidden


def test_without_a_mask_items_of_training_are_ranked_and_count():
    # Lists of four become 0 1* 4 2*; 0 1 2 3; 5 0 4 3*.
    result = evaluated(split="test", ks=[4], mask="none")
    assert result.per_user["recall@4"].tolist() == pytest.approx([1, 0, 1 / 3])
    assert seen_mask(interactions(), "test", "none").nnz == 0


def test_short_lists_count_no_item_for_their_empty_places():
    # User 3 may be recommended 3, 4 and 5 only; no other user is scored.
    pairs = interactions(valid=[(3, 3)], test=[])
    result = evaluated(pairs, ks=[5])
    assert result.per_user["recall@5"].tolist() == [1]
    assert result.per_user["precision@5"].tolist() == pytest.approx([1 / 5])
    assert result.metrics["item_coverage@5"] == pytest.approx(3 / 6)
    assert result.metrics["avg_popularity@5"] == pytest.approx((0 + 0 + 1) / 3)


def test_an_empty_place_is_never_a_hit():
    # The place before user 1's first item is user 0's last one, which is in the part.
    pairs = interactions(train=[(1, 0), (1, 1), (1, 2)], valid=[(0, 3), (1, 3)], test=[], n_users=2, n_items=4)
    scores = torch.tensor([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
    assert evaluated(pairs, scores, ks=[4]).per_user["precision@4"].tolist() == [1 / 4, 1 / 4]


def test_lists_longer_than_the_number_of_items_hold_all_items():
    result = evaluated(split="test", ks=[6, 50])
    for name in ("recall", "ndcg", "map", "hit_rate", "item_coverage", "avg_popularity"):
        assert result.metrics[f"{name}@50"] == result.metrics[f"{name}@6"]
    assert result.metrics["recall@50"] == 1


@pytest.mark.parametrize("rows", [(3, 6), (4, 5), (6, 4)])
def test_rows_that_do_not_belong_to_the_data_are_an_error(rows):
    message = f"expected 4 user and 6 item rows, but got {rows[0]} and {rows[1]}"
    with pytest.raises(ValueError, match=message):
        evaluate(torch.ones(rows[0], 2), torch.ones(rows[1], 2), interactions())


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_split_without_an_interaction_is_an_error(split):
    with pytest.raises(ValueError, match=f"the {split} split has no interaction"):
        evaluated(interactions(**{split: []}), split=split)


def test_scores_that_are_not_numbers_are_an_error():
    with pytest.raises(ValueError, match="some are NaN"):
        evaluated(scores=torch.full((4, 6), math.nan))


@pytest.mark.parametrize("ks", [[], [0], [0, 5], [-1, 5]])
def test_list_lengths_must_be_positive(ks):
    with pytest.raises(ValueError, match="ks .*at least 1"):
        evaluated(ks=ks)


def test_arrays_of_any_float_type_are_scored_like_tensors():
    pairs, stream = interactions(), np.random.default_rng(0)
    users, items = stream.normal(size=(pairs.n_users, 3)), stream.normal(size=(pairs.n_items, 3))
    tensors = (torch.from_numpy(one.astype(np.float32)) for one in (users, items))
    assert evaluate(users, items, pairs, split="test").metrics == evaluate(*tensors, pairs, split="test").metrics


def test_embeddings_and_a_scorer_give_the_same():
    one, other = evaluated(split="test"), evaluate_scorer(lambda block: SCORES[block], interactions(), split="test")
    assert one.metrics == other.metrics


def brute_force(pairs, scores, split, mask, k):
    """All metrics by sorting one user at a time."""
    matrices = {name: pairs.matrix(name).toarray() > 0 for name in ("train", "valid", "test")}
    hidden = matrices["train"] | (matrices["valid"] if (split, mask) == ("test", "train+valid") else False)
    values, listed = {name: [] for name in ("recall", "ndcg", "precision", "map", "hit_rate")}, []
    for user in np.flatnonzero(matrices[split].any(axis=1)):
        order = sorted((-score, item) for item, score in enumerate(scores[user]) if not hidden[user, item])
        top = [item for _, item in order[:k]]
        listed += top
        gains = [float(matrices[split][user, item]) for item in top] + [0.0] * (k - len(top))
        relevant = matrices[split][user].sum()
        discounts = 1 / np.log2(np.arange(2, k + 2))
        values["recall"].append(sum(gains) / relevant)
        values["precision"].append(sum(gains) / k)
        values["hit_rate"].append(float(any(gains)))
        values["ndcg"].append(np.dot(gains, discounts) / discounts[:relevant].sum())
        precisions = np.cumsum(gains) / np.arange(1, k + 1)
        values["map"].append(np.dot(gains, precisions) / min(k, relevant))
    expected = {f"{name}@{k}": np.mean(one) for name, one in values.items()}
    expected[f"item_coverage@{k}"] = len(set(listed)) / pairs.n_items
    expected[f"avg_popularity@{k}"] = matrices["train"].sum(axis=0)[listed].mean() if listed else 0.0
    return expected


def random_case(seed, n_users=12, n_items=9):
    """Random pairs in all parts, and whole scores, so that there are ties and sums are exact."""
    stream = np.random.default_rng(seed)
    parts = stream.choice(4, size=(n_users, n_items), p=[0.3, 0.2, 0.2, 0.3])  # the last: no pair
    parts[0, 0], parts[1, 1] = 1, 2
    users, items = np.nonzero(parts < 3)
    pairs = Interactions(
        users.astype(np.int32), items.astype(np.int32), parts[users, items].astype(np.int8), n_users, n_items
    )
    return pairs, stream.integers(-3, 4, size=(n_users, n_items)).astype(np.float32)


@given(
    seed=some.integers(0, 2**32 - 1),
    k=some.integers(1, 9),
    split=some.sampled_from(["valid", "test"]),
    mask=some.sampled_from(["train", "train+valid"]),
)
def test_metrics_equal_brute_force(seed, k, split, mask):
    pairs, scores = random_case(seed)
    found = evaluated(pairs, torch.from_numpy(scores), split=split, mask=mask, ks=[k]).metrics
    expected = brute_force(pairs, scores, split, mask, k)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name


@given(seed=some.integers(0, 2**32 - 1))
def test_permuting_users_and_items_changes_no_metric(seed):
    pairs, _ = random_case(seed)
    stream = np.random.default_rng(seed)
    scores = stream.permutation(12 * 9).reshape(12, 9).astype(np.float32)  # no ties
    users, items = stream.permutation(12), stream.permutation(9)
    moved = Interactions(
        np.argsort(users)[pairs.users].astype(np.int32),
        np.argsort(items)[pairs.items].astype(np.int32),
        pairs.splits,
        12,
        9,
    )
    before = evaluated(pairs, torch.from_numpy(scores), split="test", ks=[1, 4]).metrics
    after = evaluated(moved, torch.from_numpy(scores[users][:, items]), split="test", ks=[1, 4]).metrics
    assert after == pytest.approx(before)


@given(seed=some.integers(0, 2**32 - 1))
def test_recall_hits_and_coverage_never_fall_with_the_length(seed):
    pairs, scores = random_case(seed)
    metrics = evaluated(pairs, torch.from_numpy(scores), ks=range(1, 10)).metrics
    for name in ("recall", "hit_rate", "item_coverage"):
        assert (np.diff([metrics[f"{name}@{k}"] for k in range(1, 10)]) >= 0).all()


@pytest.mark.parametrize("block", [1, 9, 50])
def test_the_size_of_blocks_does_not_matter(monkeypatch, block):
    pairs, scores = random_case(3)
    whole = evaluated(pairs, torch.from_numpy(scores))
    monkeypatch.setattr(module, "BLOCK_SCORES", block)
    monkeypatch.setattr(module, "BLOCK_USERS", 1)
    parted = evaluated(pairs, torch.from_numpy(scores))
    assert parted.metrics == whole.metrics
    assert all(torch.equal(parted.per_user[name], values) for name, values in whole.per_user.items())


def test_a_perfect_recommender_has_1_everywhere():
    pairs, _ = random_case(8)
    scores = torch.from_numpy(pairs.matrix("test").toarray())
    metrics = evaluated(pairs, scores, split="test", ks=[9]).metrics
    assert metrics["recall@9"] == metrics["hit_rate@9"] == pytest.approx(1)
    assert metrics["ndcg@9"] == pytest.approx(1)
    assert metrics["map@9"] == pytest.approx(1)
