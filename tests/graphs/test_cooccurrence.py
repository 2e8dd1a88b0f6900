import json
import os
from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from scipy import sparse, stats

from flatrec.data.interactions import Interactions
from flatrec.graphs import cooccurrence
from flatrec.graphs.cooccurrence import UserGraph, cooccurrence_matrix, drawn_multiplicities, softmax_graph

FOLDER = Path(__file__).parents[2] / os.environ.get("FLATREC_REFERENCE", "../shared/reference")


def training(lists, n_items, *, held_out=()):
    """Interactions from one list of training items a user, and (user, item) pairs that are for the test."""
    pairs = [(user, item, 0) for user, items in enumerate(lists) for item in items]
    pairs += [(user, item, 2) for user, item in held_out]
    users, items, parts = np.array(pairs, dtype=np.int64).reshape(-1, 3).T
    return Interactions(users, items, parts, len(lists), n_items)


def random_interactions(seed=0, n_users=40, n_items=25, density=0.15):
    draw = np.random.default_rng(seed)
    users, items = np.nonzero(draw.random((n_users, n_items)) < density * draw.random((n_users, 1)) * 2)
    return Interactions(users, items, draw.choice(3, len(users), p=[0.8, 0.1, 0.1]), n_users, n_items)


def by_dense_algebra(interactions, neighbors):
    """All of R R^T without its diagonal, each row sorted by count and then user, and cut."""
    matrix = interactions.matrix("train").toarray().astype(np.int64)
    counts = matrix @ matrix.T
    np.fill_diagonal(counts, 0)
    kept = np.zeros_like(counts)
    for row, all_of_it in zip(kept, counts, strict=True):
        best = np.argsort(-all_of_it, kind="stable")[:neighbors]
        row[best] = all_of_it[best]
    return kept


def counts_of(rows):
    return sparse.csr_array(np.array(rows, dtype=np.float32))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def user_graph(counts, neighbors, stream=None):
    """The graph of the given counts: whole, or drawn."""
    if stream is None:
        return softmax_graph(counts, np.ones(counts.nnz, dtype=np.int64))
    return softmax_graph(counts, drawn_multiplicities(counts, neighbors, stream))


def test_a_case_by_hand():
    interactions = training([[0, 1, 2], [1, 2], [2, 3], [4]], 5)
    counts = cooccurrence_matrix(interactions, 2)
    assert counts.toarray().tolist() == [[0, 2, 1, 0], [2, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert cooccurrence_matrix(interactions, 1).toarray().tolist() == [
        [0, 2, 0, 0],
        [2, 0, 0, 0],
        [1, 0, 0, 0],  # users 0 and 1 share as much; the smaller number stays
        [0, 0, 0, 0],
    ]
    assert counts.dtype == np.float32


@given(seed=some.integers(0, 2**32 - 1), neighbors=some.integers(1, 45), density=some.sampled_from([0.02, 0.15, 0.9]))
def test_counts_equal_dense_algebra(seed, neighbors, density):
    interactions = random_interactions(seed, density=density)
    counts = cooccurrence_matrix(interactions, neighbors)
    expected = by_dense_algebra(interactions, neighbors)
    np.testing.assert_array_equal(counts.toarray(), expected)
    assert counts.nnz == np.count_nonzero(expected)
    assert counts.has_sorted_indices


@pytest.mark.parametrize("entries", [1, 7, 40, 300])
def test_the_size_of_blocks_does_not_matter(monkeypatch, entries):
    interactions = random_interactions()
    whole = cooccurrence_matrix(interactions, 5)
    monkeypatch.setattr(cooccurrence, "BLOCK_ENTRIES", entries)
    blocks = list(cooccurrence._blocks(interactions.matrix("train")))
    assert len(blocks) > 1
    assert [row for block in blocks for row in range(interactions.n_users)[block]] == list(range(interactions.n_users))
    parts = cooccurrence_matrix(interactions, 5)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_blocks_are_as_large_as_their_bound_and_a_row_at_most(monkeypatch):
    interactions = random_interactions(n_users=200)
    monkeypatch.setattr(cooccurrence, "BLOCK_ENTRIES", 500)
    matrix = interactions.matrix("train")
    costs = matrix @ interactions.item_counts("train")
    sizes = [costs[block].sum() for block in cooccurrence._blocks(matrix)]
    assert max(sizes) <= 500 + costs.max()
    assert len(sizes) <= costs.sum() / 500 + 2


def test_items_of_validation_and_test_do_not_count():
    interactions = training([[0], [0], []], 3, held_out=[(0, 1), (1, 1), (2, 0), (2, 1)])
    assert cooccurrence_matrix(interactions, 5).toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("lists", [[[]], [[0, 1]], [[], [], []], [[0], [1], [2]]])
def test_users_who_share_nothing_have_empty_rows(lists):
    interactions = training(lists, 3)
    counts = cooccurrence_matrix(interactions, 4)
    assert (counts.shape, counts.nnz) == ((len(lists), len(lists)), 0)
    for draw in (None, generator()):
        vectors = user_graph(counts, 4, draw)(torch.ones(len(lists), 2))
        assert torch.equal(vectors, torch.zeros(len(lists), 2))


def test_more_neighbors_than_users_keep_all_that_share_an_item():
    interactions = random_interactions(n_users=6, density=0.5)
    np.testing.assert_array_equal(cooccurrence_matrix(interactions, 100).toarray(), by_dense_algebra(interactions, 6))


@pytest.mark.parametrize("neighbors", [0, -3])
def test_a_number_of_neighbors_below_one_is_refused(neighbors):
    with pytest.raises(ValueError, match=f"neighbors must be at least 1, but is {neighbors}"):
        cooccurrence_matrix(random_interactions(), neighbors)


def test_weights_are_the_softmax_of_the_counts():
    graph = user_graph(counts_of([[0, 3, 1, 1], [3, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]), 3)
    thrice, once = np.exp([3, 1]) / (np.exp(3) + 2 * np.exp(1))
    expected = [[0, thrice, once, once], [1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    np.testing.assert_allclose(graph.coo().toarray(), expected, rtol=1e-6)
    np.testing.assert_allclose(graph(torch.eye(4)).numpy(), expected, rtol=1e-6)


def test_weights_of_rows_that_are_empty_before_between_and_after_others():
    rows = np.zeros((7, 7))
    rows[1, [0, 3]], rows[4, [2, 5, 6]] = [2, 1], [1, 1, 4]
    weights = user_graph(counts_of(rows), 3).coo().toarray()
    powers = np.where(rows > 0, np.exp(rows), 0)
    totals = powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights, powers / np.where(totals > 0, totals, 1), rtol=1e-6)


def test_counts_too_large_for_the_exponential_still_give_weights():
    weights = user_graph(counts_of([[0, 5000, 5001], [1, 0, 9000], [9000, 9000, 0]]), 2).coo().toarray()
    expected = [[0, 1 / (1 + np.e), np.e / (1 + np.e)], [0, 0, 1], [0.5, 0.5, 0]]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_the_gradient_goes_through_the_transpose():
    counts = cooccurrence_matrix(random_interactions(), 5)
    graph, vectors = user_graph(counts, 5), torch.randn(40, 3, generator=generator(), requires_grad=True)
    graph(vectors).sum().backward()
    expected = graph.coo().toarray().sum(axis=0)[:, None].repeat(3, axis=1)
    np.testing.assert_allclose(vectors.grad.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_draw_fills_every_row_that_has_an_entry():
    counts = cooccurrence_matrix(random_interactions(), 12)
    multiplicities = drawn_multiplicities(counts, 12, generator())
    sizes = np.diff(counts.indptr)
    assert set(sizes.tolist()) >= {0, 12}
    assert ((sizes > 0) & (sizes < 12)).any()
    filled = np.add.reduceat(multiplicities, counts.indptr[:-1][sizes > 0])
    assert (filled == 12).all()
    assert multiplicities.min() == 1
    assert (multiplicities[np.repeat(sizes, sizes) == 12] == 1).all()


def test_repetitions_count_in_the_softmax():
    counts = cooccurrence_matrix(random_interactions(), 12)
    drawn = sparse.csr_array(
        (drawn_multiplicities(counts, 12, generator(5)), counts.indices, counts.indptr), shape=counts.shape
    ).toarray()
    weights = user_graph(counts, 12, generator(5)).coo().toarray()
    powers = drawn * np.exp(counts.toarray().astype(np.float64))
    totals = powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights, powers / np.where(totals > 0, totals, 1), rtol=1e-6)
    assert not np.allclose(weights, user_graph(counts, 12).coo().toarray())


def test_a_single_entry_has_weight_one_however_often_it_is_repeated():
    weights = user_graph(counts_of([[0, 2], [2, 0]]), 40, generator()).coo().toarray()
    assert weights.tolist() == [[0, 1], [1, 0]]


def test_the_draw_depends_on_the_state_of_its_generator_only():
    counts = cooccurrence_matrix(random_interactions(), 12)
    one, same, other = (user_graph(counts, 12, generator(seed)) for seed in (1, 1, 2))
    torch.manual_seed(7)
    again = user_graph(counts, 12, generator(1))
    assert torch.equal(one.matrix.values, same.matrix.values)
    assert torch.equal(one.matrix.values, again.matrix.values)
    assert not torch.equal(one.matrix.values, other.matrix.values)
    stream = generator(1)
    assert torch.equal(user_graph(counts, 12, stream).matrix.values, one.matrix.values)
    assert not torch.equal(user_graph(counts, 12, stream).matrix.values, one.matrix.values)


def test_rows_that_are_full_need_no_draw():
    counts = counts_of(np.ones((5, 5)) - np.eye(5))
    drawn, plain = user_graph(counts, 4, generator()), user_graph(counts, 4)
    assert torch.equal(drawn.matrix.values, plain.matrix.values)


def test_repetitions_are_drawn_from_the_row_as_it_grows():
    n_users, size, neighbors = 4000, 4, 12
    rows = np.zeros((n_users, size), dtype=np.float32)
    rows[:] = np.arange(1, size + 1)  # a draw that followed the counts would show
    drawn = drawn_multiplicities(sparse.csr_array(rows), neighbors, generator(3)).reshape(n_users, size) - 1
    extra = neighbors - size
    assert (drawn.sum(axis=1) == extra).all()
    # An urn that begins with one of each: all ways to share the repetitions out are equally likely.
    ways = comb(extra + size - 1, size - 1)
    _, seen = np.unique(drawn, axis=0, return_counts=True)
    assert len(seen) == ways
    assert stats.chisquare(seen).pvalue > 1e-3
    # Independent draws, each entry with the same chance, would pile up in the middle.
    assert stats.chisquare(np.bincount(drawn[:, 0], minlength=extra + 1)[: extra + 1]).pvalue < 1e-6


def test_a_user_graph_is_drawn_in_training_and_whole_in_evaluation():
    interactions = random_interactions()
    graph, vectors = UserGraph(interactions, 12), torch.randn(40, 3, generator=generator())
    counts = cooccurrence_matrix(interactions, 12)
    whole, drawn = user_graph(counts, 12), user_graph(counts, 12, generator(5))
    assert torch.equal(graph(vectors), whole(vectors))
    graph.draw(generator(5))
    assert torch.equal(graph.train()(vectors), drawn(vectors))
    assert torch.equal(graph.eval()(vectors), whole(vectors))
    assert not torch.equal(whole(vectors), drawn(vectors))
    assert not graph.state_dict()


def test_a_user_graph_without_a_short_row_is_not_built_again():
    graph = UserGraph(training([[0, 1], [0, 1], [1]], 2), 2)
    graph.draw(generator())
    assert graph.drawn is graph.whole


FILES = [path for name in ("cohesion", "dragon", "dualgnn") for path in sorted(FOLDER.glob(f"*/{name}.npz"))]
ABSENT = pytest.param(
    None, marks=pytest.mark.skip(reason=f"no reference numbers in {FOLDER}; set FLATREC_REFERENCE"), id="absent"
)


class Reference:
    """Training pairs, the full lists of co-occurring users, and the graph as it was used."""

    def __init__(self, path):
        with np.load(path) as there:
            self.there = dict(there)
        self.neighbors = json.loads(path.with_suffix(".json").read_text())["hyper_parameters"]["user_graph_k"]
        users, items = self.there["train/user"], self.there["train/item"]
        sizes = (int(self.there["meta/n_users"]), int(self.there["meta/n_items"]))
        self.interactions = Interactions(users, items, np.zeros_like(users), *sizes)

    def lists(self):
        offsets = self.there["user_graph/raw_offset"]
        for start, stop in zip(offsets[:-1], offsets[1:], strict=True):
            yield tuple(self.there[f"user_graph/raw_{part}"][start:stop] for part in ("neighbour", "cooccurrence"))

    def multiplicities(self, counts):
        """How often each of our entries occurs in the lists that were used."""
        used = np.zeros(counts.shape, dtype=np.int64)
        filled = np.diff(counts.indptr) > 0
        np.add.at(used, (np.flatnonzero(filled)[:, None], self.there["user_graph/index"][filled]), 1)
        return used[np.repeat(np.arange(len(filled)), np.diff(counts.indptr)), counts.indices]


@pytest.fixture(params=[pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in FILES] or [ABSENT])
def reference(request):
    return Reference(request.param)


def test_all_counts_equal_the_stored_lists(reference):
    n_users = reference.interactions.n_users
    counts = cooccurrence_matrix(reference.interactions, n_users).toarray()
    for ours, (neighbors, theirs) in zip(counts, reference.lists(), strict=True):
        np.testing.assert_array_equal(np.flatnonzero(ours), np.sort(neighbors))
        np.testing.assert_array_equal(ours[neighbors], theirs)


@pytest.mark.parametrize("neighbors", [1, 3, 10, 25])
def test_the_largest_counts_equal_those_of_the_stored_lists(reference, neighbors):
    counts = cooccurrence_matrix(reference.interactions, neighbors).toarray()
    for ours, (_, theirs) in zip(counts, reference.lists(), strict=True):
        np.testing.assert_array_equal(np.sort(ours[ours > 0])[::-1], theirs[:neighbors])


def test_weights_equal_the_stored_ones_with_their_repetitions(reference):
    counts = cooccurrence_matrix(reference.interactions, reference.neighbors)
    multiplicities = reference.multiplicities(counts)
    assert multiplicities.sum() == reference.neighbors * np.count_nonzero(np.diff(counts.indptr))
    ours = softmax_graph(counts, multiplicities).coo().toarray()
    theirs = np.zeros_like(ours)
    np.add.at(
        theirs,
        (np.arange(len(ours))[:, None], reference.there["user_graph/index"]),
        reference.there["user_graph/weight"],
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_weights_of_users_without_repetitions_equal_the_stored_ones(reference):
    counts = cooccurrence_matrix(reference.interactions, reference.neighbors)
    full = np.flatnonzero(np.diff(counts.indptr) == reference.neighbors)
    if not len(full):
        pytest.skip(f"no user of this set has {reference.neighbors} co-occurring users")
    ours = user_graph(counts, reference.neighbors).coo().toarray()[full]
    theirs = np.sort(reference.there["user_graph/weight"][full], axis=1)
    np.testing.assert_allclose(np.sort(ours, axis=1)[:, -reference.neighbors :], theirs, rtol=0, atol=1e-6)
