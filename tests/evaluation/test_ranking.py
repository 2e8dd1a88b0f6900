import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from scipy import sparse

from flatrec.evaluation import inner_product, rank
from flatrec.evaluation import ranking as module
from flatrec.ops.topk import topk_by_keys

INF = math.inf


def hidden_of(shape, pairs=()):
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    entries = (np.ones(len(rows), dtype=np.float32), (np.array(rows, np.int64), np.array(columns, np.int64)))
    return sparse.csr_array(entries, shape=shape)


def ranked(scores, k, hidden=None, users=None):
    scores = torch.as_tensor(scores)
    hidden = hidden_of(scores.shape) if hidden is None else hidden
    users = torch.arange(len(scores)) if users is None else torch.tensor(users, dtype=torch.int64)
    return rank(lambda block: scores[block], users, k, hidden)


def brute_force(scores, k, hidden):
    """Sort all (score, lower number) pairs that are not hidden, one user at a time."""
    scores, masked = np.asarray(scores, dtype=np.float32), hidden.toarray() != 0
    items, values = np.full((len(scores), k), -1), np.full((len(scores), k), -np.inf, dtype=np.float32)
    for user, row in enumerate(scores):
        best = sorted((-score, item) for item, score in enumerate(row.tolist()) if not masked[user, item])[:k]
        for place, (score, item) in enumerate(best):
            items[user, place], values[user, place] = item, -score
    return items, values


def random_case(seed, n_users=11, n_items=13, levels=4, share=0.3):
    stream = np.random.default_rng(seed)
    scores = stream.integers(-levels, levels + 1, size=(n_users, n_items)).astype(np.float32) / 2
    scores[scores == 0] = stream.choice([0.0, -0.0], size=(scores == 0).sum())
    pairs = list(zip(*(one.tolist() for one in np.nonzero(stream.random(scores.shape) < share)), strict=True))
    return scores, hidden_of(scores.shape, pairs)


def test_the_best_come_first():
    found = ranked([[0.1, 0.9, 0.5], [3.0, -1.0, 2.0]], 2)
    assert found.items.tolist() == [[1, 2], [0, 2]]
    torch.testing.assert_close(found.scores, torch.tensor([[0.9, 0.5], [3.0, 2.0]]))


def test_equal_scores_rank_by_item_number():
    assert ranked([[1.0, 2.0, 1.0, 2.0, 1.0]], 4).items.tolist() == [[1, 3, 0, 2]]


@pytest.mark.parametrize("k", range(1, 7))
def test_a_tie_across_the_end_of_the_list_goes_to_the_lower_number(k):
    scores = [[5.0, 1.0, 1.0, 1.0, 1.0, 9.0]]
    assert ranked(scores, k).items.tolist() == [[5, 0, 1, 2, 3, 4][:k]]


def test_minus_zero_equals_zero():
    assert ranked([[-0.0, 0.0, -0.0, 0.0]], 4).items.tolist() == [[0, 1, 2, 3]]
    assert ranked([[-0.0, 0.0, 1.0, -0.0, -1.0]], 3).items.tolist() == [[2, 0, 1]]


def test_negative_numbers_tiny_ones_and_infinity_keep_their_order():
    row = [-1e30, -1.0, -1e-40, -0.0, 0.0, 1e-40, 1.0, 1e30, INF]
    doubled = row + row  # every score twice, so that ties are decided too
    expected = [item for one in (8, 7, 6, 5) for item in (one, one + 9)] + [3, 4, 12, 13]
    expected += [item for one in (2, 1, 0) for item in (one, one + 9)]
    assert ranked([doubled], 18).items.tolist() == [expected]


def test_hidden_items_never_rank():
    found = ranked([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]], 2, hidden_of((2, 3), [(0, 0), (1, 1)]))
    assert found.items.tolist() == [[1, 2], [0, 2]]


def test_a_list_that_comes_out_short_is_filled_with_minus_one():
    found = ranked([[3.0, 2.0, 1.0]], 3, hidden_of((1, 3), [(0, 0), (0, 2)]))
    assert found.items.tolist() == [[1, -1, -1]]
    assert found.scores.tolist() == [[2.0, -INF, -INF]]


def test_everything_hidden_gives_an_empty_list():
    assert ranked([[1.0, 1.0]], 2, hidden_of((1, 2), [(0, 0), (0, 1)])).items.tolist() == [[-1, -1]]


def test_places_beyond_the_last_item_are_empty():
    found = ranked([[1.0, 3.0, 2.0]], 5)
    assert found.items.tolist() == [[1, 2, 0, -1, -1]]
    assert found.scores.tolist() == [[3, 2, 1, -math.inf, -math.inf]]


def test_only_the_users_asked_for_are_ranked_in_their_order():
    scores, hidden = random_case(0)
    users = [7, 2, 2, 10]
    found, whole = ranked(scores, 5, hidden, users), ranked(scores, 5, hidden)
    assert torch.equal(found.items, whole.items[users])
    assert ranked(scores, 5, hidden, []).items.shape == (0, 5)


@given(
    seed=some.integers(0, 2**32 - 1),
    k=some.integers(1, 16),
    levels=some.integers(0, 5),
    share=some.sampled_from([0.0, 0.3, 0.9]),
)
def test_the_ranking_equals_brute_force(seed, k, levels, share):
    scores, hidden = random_case(seed, levels=levels, share=share)
    found, (items, values) = ranked(scores, k, hidden), brute_force(scores, k, hidden)
    np.testing.assert_array_equal(found.items.numpy(), items)
    np.testing.assert_array_equal(found.scores.numpy(), values)


def test_a_score_that_is_not_a_number_is_found_among_many():
    scores = torch.arange(2000.0).reshape(2, 1000)
    for place in (0, 500, 999):
        broken = scores.clone()
        broken[1, place] = math.nan
        with pytest.raises(ValueError, match="scores must be numbers, but some are NaN"):
            ranked(broken, 2)


@given(seed=some.integers(0, 2**32 - 1), k=some.integers(1, 13))
def test_numbering_the_items_anew_numbers_the_ranking_anew(seed, k):
    stream = np.random.default_rng(seed)
    scores = stream.permuted(np.tile(np.arange(13, dtype=np.float32), (11, 1)), axis=1)  # no ties
    hidden, order = random_case(seed)[1], stream.permutation(13)
    found = ranked(scores, k, hidden).items.numpy()
    moved = ranked(scores[:, order], k, sparse.csr_array(hidden.tocsc()[:, order])).items.numpy()
    np.testing.assert_array_equal(np.where(moved < 0, -1, order[moved]), found)


@given(seed=some.integers(0, 2**32 - 1), k=some.integers(1, 12))
def test_a_shorter_list_is_the_front_of_a_longer_one(seed, k):
    scores, hidden = random_case(seed)
    assert torch.equal(ranked(scores, k, hidden).items, ranked(scores, 13, hidden).items[:, :k])


@pytest.mark.parametrize("block", [1, 13, 40, 13 * 11])
def test_the_size_of_blocks_does_not_matter(monkeypatch, block):
    scores, hidden = random_case(5)
    whole = ranked(scores, 6, hidden)
    calls = []

    def score(users):
        calls.append(len(users))
        return torch.from_numpy(scores)[users]

    monkeypatch.setattr(module, "BLOCK_SCORES", block)
    monkeypatch.setattr(module, "BLOCK_USERS", 1)
    found = rank(score, torch.arange(11), 6, hidden)
    assert torch.equal(found.items, whole.items)
    assert torch.equal(found.scores, whole.scores)
    assert sum(calls) == 11
    assert max(calls) == min(11, max(1, block // 13))


@pytest.mark.parametrize("place", [0, 3, 4])
def test_a_score_that_is_not_a_number_is_an_error(place):
    scores = torch.arange(10.0).reshape(2, 5)
    scores[1, place] = math.nan
    with pytest.raises(ValueError, match="scores must be numbers, but some are NaN"):
        ranked(scores, 2)


def test_a_hidden_score_may_be_anything():
    assert ranked([[math.nan, 2.0, INF]], 2, hidden_of((1, 3), [(0, 0), (0, 2)])).items.tolist() == [[1, -1]]


@pytest.mark.parametrize("k", [0, -1])
def test_a_list_must_have_a_place(k):
    with pytest.raises(ValueError, match=f"k must be at least 1, but is {k}"):
        ranked([[1.0, 2.0]], k)


def test_scores_count_as_float32():
    # Two float64 numbers that are one in float32, and half precision.
    assert ranked(torch.tensor([[1.0, 1.0 + 1e-12, 0.0]], dtype=torch.float64), 2).items.tolist() == [[0, 1]]
    assert ranked(torch.tensor([[1.0, 3.0, 3.0]], dtype=torch.float16), 2).items.tolist() == [[1, 2]]


def test_inner_products_are_scores_of_the_users_asked_for():
    users, items = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 3.0], [5.0, 0.0], [0.0, -1.0]])
    assert inner_product(users, items)(torch.tensor([1, 0])).tolist() == [[6, 0, -2], [1, 5, 0]]


def test_ranking_keeps_no_graph_of_gradients():
    users, items = torch.ones(2, 3, requires_grad=True), torch.ones(4, 3, requires_grad=True)
    found = rank(inner_product(users, items), torch.arange(2), 2, hidden_of((2, 4)))
    assert not found.scores.requires_grad


def test_stored_entries_are_hidden_whatever_their_value():
    hidden = hidden_of((1, 3), [(0, 0), (0, 1)])
    hidden.data[0] = 0
    assert ranked([[3.0, 2.0, 1.0]], 1, hidden).items.tolist() == [[2]]


def test_the_tensor_that_a_scorer_returns_is_left_as_it_is():
    scores = torch.tensor([[3.0, 2.0, 1.0]])
    assert rank(lambda _: scores, torch.tensor([0]), 1, hidden_of((1, 3), [(0, 0)])).items.tolist() == [[1]]
    assert scores.tolist() == [[3, 2, 1]]
    everybody = rank(lambda users: scores.expand(len(users), -1), torch.arange(2), 1, hidden_of((2, 3), [(1, 0)]))
    assert everybody.items.tolist() == [[0], [1]]
    assert scores.tolist() == [[3, 2, 1]]


def test_the_lists_of_another_device_come_from_it_at_once(monkeypatch):
    """What a GPU does, on the CPU: all rows by keys, numbers checked at the end."""
    scores = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (70, 90)).astype(np.float32))
    seen = hidden_of((70, 90))
    expected = rank(lambda users: scores[users], torch.arange(70), 5, seen)
    monkeypatch.setattr(module, "stable_topk", topk_by_keys)
    monkeypatch.setattr(module, "block_rows", lambda *_: 32)
    found = rank(lambda users: scores[users], torch.arange(70), 5, seen)
    assert torch.equal(found.items, expected.items)
    assert torch.equal(found.scores, expected.scores)


def test_blocks_are_as_large_as_the_free_memory_of_a_gpu_allows(monkeypatch):
    assert module.block_rows(torch.device("cpu"), 1_000) == 1_000
    assert module.block_rows(torch.device("cpu"), 10**7) == 32
    monkeypatch.setattr(module, "free_memory", lambda _: 128 * 10**9)
    assert module.block_rows(torch.device("cuda"), 100_000) == 10_000
