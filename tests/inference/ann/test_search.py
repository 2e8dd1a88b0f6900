"""Lists by an index: filters, lengths, scores and ties, whatever the index returns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.evaluation import inner_product, rank
from flatrec.inference.ann import IndexFacts
from flatrec.inference.ann.search import Request, rank_by_index, search_width
from tests.inference.ann.conftest import N_ITEMS, N_USERS, index, seen, vectors


class Scripted:
    """An index that returns what it is told, and remembers what it was asked."""

    def __init__(self, found, n_items, **facts):
        self.found, self.asked = np.asarray(found, dtype=np.int64), []
        stated = {"k": 2, "n_users": 1, "recall": 1.0, "search_width": 4, "items_per_step": 1} | facts
        self.facts = IndexFacts(n_items=n_items, width=1, **stated)

    def search(self, users, count, width, allowed=None):
        self.asked.append((len(users), count, width, None if allowed is None else allowed.tolist()))
        padded = np.full((len(users), count), -1, dtype=np.int64)
        padded[:, : len(self.found)] = self.found[:count]
        return padded


def request(items, k, *, hidden=(), allowed=None, users=((1.0,),)):
    matrix = np.zeros((len(users), len(items)))
    matrix[:, list(hidden)] = 1
    return Request(
        torch.tensor(users), torch.tensor(items)[:, None], k, sparse.csr_array(matrix),
        None if allowed is None else torch.tensor(allowed),
    )  # fmt: skip


def test_candidates_are_scored_again_and_ties_rank_by_item():
    scripted = Scripted([5, 3, 1, 4], 6)
    found = rank_by_index(scripted, request([0.0, 2.0, 9.0, 2.0, 1.0, 2.0], 3))
    assert found.items.tolist() == [[1, 3, 5]]
    assert found.scores.tolist() == [[2.0, 2.0, 2.0]]
    assert scripted.asked == [(1, 4, 6, None)]  # item 2 is not found: the list is the index's, not the exact one


def test_hidden_items_are_asked_for_on_top_and_left_out():
    scripted = Scripted([2, 1, 3, 0], 9)
    found = rank_by_index(scripted, request([0.5, 2.0, 9.0, 1.5] + [0.0] * 5, 2, hidden=(2, 1)))
    assert scripted.asked == [(1, 4, 4, None)]
    assert found.items.tolist() == [[3, 0]]


def test_filters_reach_the_index_and_widen_the_search_by_their_fraction():
    allowed = [True, False] * 8
    scripted = Scripted([4, 2], 16)
    found = rank_by_index(scripted, request([float(index) for index in range(16)], 2, allowed=allowed))
    assert scripted.asked == [(1, 2, 8, allowed)]
    assert found.items.tolist() == [[4, 2]]


@pytest.mark.parametrize("reason", ["few found", "few allowed", "many hidden"])
def test_where_the_index_is_no_help_lists_are_exact(reason):
    scripted = Scripted([0], 16, search_width=4, items_per_step=2)
    scores = [float(index) for index in range(16)]
    hidden = range(8, 16) if reason == "many hidden" else ()
    allowed = [index < 3 for index in range(16)] if reason == "few allowed" else None
    found = rank_by_index(scripted, request(scores, 2, hidden=hidden, allowed=allowed))
    expected = {"few found": [15, 14], "few allowed": [2, 1], "many hidden": [7, 6]}[reason]
    assert found.items.tolist() == [expected]
    assert len(scripted.asked) == (reason == "few found")


def test_a_list_is_as_short_as_the_exact_one():
    found = rank_by_index(Scripted([0, 1, 2], 3), request([1.0, 2.0, 3.0], 3, hidden=(1,)))
    assert found.items.tolist() == [[2, 0, -1]]
    assert found.scores.tolist() == [[3.0, 1.0, -np.inf]]


def test_items_that_joined_after_the_index_was_built_are_candidates():
    scripted = Scripted([1, 0], 4, search_width=2)
    found = rank_by_index(scripted, request([1.0, 2.0, 3.0, 4.0, 1.5, 9.0], 2, allowed=[True] * 5 + [False]))
    assert found.items.tolist() == [[1, 4]]
    assert scripted.asked[0][3] == [True] * 4


def test_the_width_grows_with_the_list_and_the_filter():
    facts = Scripted([], 1000, k=10, search_width=100).facts
    assert search_width(facts, 10, 16) == search_width(facts, 5, 16) == 100
    assert search_width(facts, 20, 32) == 200
    assert search_width(facts, 10, 512) == 512
    assert search_width(facts, 10, 16, 0.25) == 400


def test_no_item_is_refused():
    with pytest.raises(ValueError, match="k must be at least 1, but is 0"):
        rank_by_index(Scripted([0], 2), request([1.0, 2.0], 0))


@pytest.mark.parametrize("seed", range(40))
def test_lists_obey_random_filters_and_are_nearly_those_of_brute_force(seed):
    pytest.importorskip("faiss")
    stream = np.random.default_rng(seed)
    hidden = sparse.random_array((N_USERS, N_ITEMS), density=stream.choice([0, 0.01, 0.1]), rng=stream, format="csr")
    allowed = torch.tensor(stream.random(N_ITEMS) < stream.choice([0.002, 0.05, 0.4, 0.9, 1]))
    k = int(stream.integers(1, 40))
    asked = Request(vectors().users, vectors().items, k, hidden, allowed)
    found = rank_by_index(index(), asked)
    exact = rank(inner_product(asked.users, asked.items), torch.arange(N_USERS), k, hidden, allowed=allowed)
    assert torch.equal(found.items < 0, exact.items < 0)  # lists of the same lengths
    everything = asked.users.double() @ asked.items.double().T
    for user in range(N_USERS):
        items = found.items[user][found.items[user] >= 0]
        forbidden = hidden.indices[hidden.indptr[user] : hidden.indptr[user + 1]]
        assert allowed[items].all()
        assert not np.isin(items.numpy(), forbidden).any()
        assert len(items.unique()) == len(items)
        torch.testing.assert_close(
            found.scores[user][: len(items)].double(), everything[user, items], rtol=1e-5, atol=1e-5
        )
        assert (found.scores[user].diff().nan_to_num(nan=-1) <= 0).all()
    listed = exact.items >= 0
    hits = ((exact.items[:, :, None] == found.items[:, None, :]).any(dim=2) & listed).sum()
    assert hits >= 0.97 * listed.sum()


def test_the_answer_for_a_user_depends_on_nobody_else():
    pytest.importorskip("faiss")
    everybody = Request(vectors().users, vectors().items, 10, seen())
    together = rank_by_index(index(), everybody)
    for user in range(0, N_USERS, 7):
        alone = rank_by_index(index(), replace(everybody, users=everybody.users[[user]], hidden=seen()[[user]]))
        assert torch.equal(alone.items[0], together.items[user])
        assert torch.equal(alone.scores[0], together.scores[user])
