"""Fold-in, re-ranking and explanations through the recommender."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.candidates import Filters
from flatrec.inference.catalog import Catalog
from flatrec.inference.fold_in import FoldIn, FoldInItems
from flatrec.inference.recommender import Recommender
from flatrec.inference.rerank import Rerank
from flatrec.models.scoring import ItemMatrix, ItemScores, Vectors

N_USERS, N_ITEMS = 4, 8
ITEMS = [f"item {index}" for index in range(N_ITEMS)]
USERS = ["user 0", "user 1", "stranger", "somebody else"]
HISTORY = {"stranger": ["item 2", "item 5"]}


def recommender(kind="vectors", seed=0):
    generator = np.random.default_rng(seed)
    bought = sparse.csr_array(
        (generator.random((N_USERS, N_ITEMS)) < 0.3) * generator.integers(1, 4, (N_USERS, N_ITEMS))
    )
    bought = sparse.csr_array(bought.astype(np.float32))
    similar = sparse.csr_array(np.triu(generator.random((N_ITEMS, N_ITEMS)), 1).astype(np.float32))
    vectors = torch.from_numpy(generator.normal(size=(N_USERS + N_ITEMS, 3)).astype(np.float32))
    scorings = {
        "vectors": Vectors(vectors[:N_USERS], vectors[N_USERS:]),
        "matrix": ItemMatrix(bought, sparse.csr_array(similar + similar.T)),
        "scores": ItemScores(vectors[:N_ITEMS, 0].contiguous(), N_USERS),
    }
    categories = pl.Series(generator.choice(["mugs", "lamps"], N_ITEMS))
    catalog = Catalog(
        ids=Vocabulary("item", ITEMS),
        popularity=np.asarray(bought.sum(axis=0), dtype=np.float64),
        new=generator.random(N_ITEMS) < 0.3,
        columns=pl.DataFrame({"category": categories}),
    )
    users = Vocabulary("user", [f"user {index}" for index in range(N_USERS)])
    return Recommender(scorings[kind], users, catalog, history=bought, seen=bought)


@pytest.mark.parametrize("kind", ["vectors", "matrix", "scores"])
@pytest.mark.parametrize("settings", [Rerank(), Rerank(pool=1), Rerank(max_per={"category": 8})])
def test_re_ranking_by_nothing_changes_nothing_on_any_path(kind, settings):
    plain = recommender(kind).recommend(USERS, 4, history=HISTORY)
    assert recommender(kind).recommend(USERS, 4, history=HISTORY, rerank=settings) == plain


@given(st.integers(0, 10**6), st.sampled_from(["vectors", "matrix", "scores"]))
def test_re_ranked_lists_keep_filters_and_limits(seed, kind):
    asked = recommender(kind, seed)
    diversity = 0.5 if kind == "vectors" else 0.0
    rerank = Rerank(diversity=diversity, max_per={"category": 2}, reserve={"new = true": 1}, pins={"item 3": 2}, pool=2)
    filters = Filters(exclude=["item 4"], where='item != "item 6"')
    everything = asked.rank(USERS, N_ITEMS, filters, histories=HISTORY)
    few = asked.rank(USERS, 3, filters, histories=HISTORY, rerank=rerank)
    categories = asked.catalog.frame["category"].to_list()
    for row in range(len(USERS)):
        scores = dict(zip(everything.items[row].tolist(), everything.scores[row].tolist(), strict=True))
        listed = [item for item in few.items[row].tolist() if item >= 0]
        assert set(listed) <= {item for item in scores if item >= 0}
        assert len(listed) == len(set(listed))
        assert few.scores[row, : len(listed)].tolist() == [scores[item] for item in listed]
        assert all(sum(categories[item] == name for item in listed) <= 2 for name in ("mugs", "lamps"))
        assert any(asked.catalog.new[listed]) == any(asked.catalog.new[item] for item in scores if item >= 0)
        assert listed.index(3) == 1 if 3 in scores and len(listed) > 1 else True


def test_pins_that_are_excluded_and_short_lists_are_noted():
    (answer,) = recommender().recommend("stranger", 8, exclude=["item 3"], rerank=Rerank(pins=["item 3"]))
    assert answer.note.endswith("pins that the filters exclude, or that are not known, are left out: item 3")
    (answer,) = recommender().recommend("stranger", 8, rerank=Rerank(max_per={"category": 1}))
    assert "only 2 items left" in answer.note
    assert "above max_per of the best 100" in answer.note


def test_k_below_one_is_refused_as_without_re_ranking():
    with pytest.raises(ValueError, match="k must be at least 1, but is 0"):
        recommender().recommend("user 0", 0, rerank=Rerank())


def test_the_formula_of_the_fold_in_can_be_chosen():
    asked = recommender()
    history = sparse.csr_array(([1.0, 1.0], ([0, 0], [2, 5])), shape=(1, N_ITEMS))
    for settings in (FoldIn(), FoldIn(method="mean", popularity_exponent=0), FoldIn(reg_weight=0.01)):
        user = FoldInItems(asked.scoring, asked.catalog.popularity, settings).user_vectors(history)
        expected = (user @ asked.scoring.items.T)[0]
        (answer,) = asked.recommend("stranger", 8, history=HISTORY, fold_in=settings)
        assert answer.path == "history"
        assert {one.item: one.score for one in answer} == pytest.approx(
            {name: float(expected[index]) for index, name in enumerate(ITEMS) if index not in (2, 5)}, abs=1e-6
        )


@pytest.mark.parametrize(("kind", "known"), [("vectors", "similarity"), ("matrix", "exact")])
def test_reasons_are_the_users_own_items_and_say_which_kind_they_are(kind, known):
    asked = recommender(kind)
    lists = asked.recommend(USERS, 5, history=HISTORY, explain=True)
    own = [{ITEMS[index] for index in asked.history[[row]].indices} for row in (0, 1)] + [set(HISTORY["stranger"])]
    for answer, items, expected in zip(lists, own, (known, known, "exact"), strict=False):
        reasons = [reason for one in answer for reason in one.reasons]
        assert reasons
        assert {reason.item for reason in reasons} <= items
        assert {reason.kind for reason in reasons} == {expected}
        assert all(reason.contribution > 0 for reason in reasons)
    assert lists[3].path == "popular"
    assert all(one.reasons == () for one in lists[3])
    without = [tuple(replace(one, reasons=()) for one in answer) for answer in lists]
    assert without == [answer.items for answer in asked.recommend(USERS, 5, history=HISTORY)]


@pytest.mark.parametrize("kind", ["vectors", "matrix"])
def test_exact_reasons_add_up_to_the_score_of_a_history(kind):
    (answer,) = recommender(kind).recommend("stranger", 8, history=HISTORY, explain=True)
    full = [one for one in answer if len(one.reasons) == 2]  # both items of the history speak for it
    assert full
    for one in full:
        assert sum(reason.contribution for reason in one.reasons) == pytest.approx(one.score, abs=1e-5)


@pytest.mark.parametrize("argument", ["exclude", "history"])
def test_one_text_for_a_user_is_not_a_list_of_letters(argument):
    with pytest.raises(TypeError, match=r"write \['item 1'\]"):
        recommender().recommend("stranger", **{argument: {"stranger": "item 1"}})


def test_a_note_says_that_the_history_of_a_trained_user_only_counts_as_seen():
    trained, stranger = recommender().recommend(["user 0", "stranger"], k=1, history=["item 2"])
    assert "user 'user 0' was trained on, so that the history only counts as seen" in trained.note
    assert "only counts as seen" not in stranger.note


def test_a_history_of_one_unknown_item_is_counted_in_the_singular():
    (answer,) = recommender().recommend(k=1, history=["nothing"])
    assert answer.note == "1 of 1 item of the history is not known"
