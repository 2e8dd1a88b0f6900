"""Answers of a recommender that were worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.candidates import Filters
from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Recommender
from flatrec.models.scoring import ItemMatrix, ItemScores, Vectors

ITEMS = ["mug", "lamp", "chair", "shoe", "hat"]
# Scores of ann: mug 5, lamp 4, chair 4, shoe 2, hat 1; of bob the other way round.
USERS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
VECTORS = torch.tensor([[5.0, 1.0], [4.0, 2.0], [4.0, 4.0], [2.0, 4.0], [1.0, 5.0]])
BOUGHT = np.array([[0, 0, 0, 0, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], dtype=np.float32)
IN_TEST = np.array([[0, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=np.float32)


def recommender(scoring=None, **changes):
    catalog = Catalog(
        ids=Vocabulary("item", ITEMS),
        popularity=BOUGHT.sum(axis=0, dtype=np.float64),  # 2, 2, 1, 1, 2
        new=np.zeros(5, dtype=np.bool_),
        titles=("A mug", "A lamp", "A chair", "A shoe", "A hat"),
        images=(Path("mug.png"), None, None, None, None),
        columns=pl.DataFrame(
            {"price": [5.0, 30.0, 90.0, 60.0, 20.0], "in_stock": [True, True, False, True, None]},
        ),
    )
    whole = Recommender(
        scoring=Vectors(USERS, VECTORS) if scoring is None else scoring,
        users=Vocabulary("user", ["ann", "bob", "new customer", "has all"]),
        catalog=catalog,
        history=sparse.csr_array(BOUGHT),
        seen=sparse.csr_array(BOUGHT + IN_TEST),
    )
    return replace(whole, **changes)


def names(answer):
    return [one.item for one in answer]


def test_items_that_a_user_has_in_any_split_are_left_out_and_equal_scores_rank_by_index():
    (ann,) = recommender().recommend("ann")
    assert [(one.item, one.score, one.title) for one in ann] == [
        ("mug", 5.0, "A mug"),
        ("lamp", 4.0, "A lamp"),
        ("chair", 4.0, "A chair"),
    ]
    assert ann[0].image == Path("mug.png")
    assert (ann.user, ann.path) == ("ann", "known")


def test_seen_items_come_in_where_they_are_asked_for():
    assert names(recommender().recommend("ann", filter_seen=False)[0]) == ["mug", "lamp", "chair", "shoe", "hat"]
    consumables = recommender(filter_seen=False)
    assert names(consumables.recommend("ann", 2)[0]) == ["mug", "lamp"]
    assert names(consumables.recommend("ann", filter_seen=True)[0]) == ["mug", "lamp", "chair"]


def test_lists_are_of_one_user_or_of_many_in_their_order():
    lists = recommender().recommend(["bob", "ann", "bob"], 1)
    assert [names(one) for one in lists] == [["hat"], ["mug"], ["hat"]]
    assert recommender().recommend([], 1) == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"items": ["hat", "shoe", "chair", "nothing"]}, ["chair"]),
        ({"exclude": ["mug", "nothing"]}, ["lamp", "chair"]),
        ({"exclude": {"ann": ["lamp"], "bob": ["mug"]}}, ["mug", "chair"]),
        ({"where": "price < 40"}, ["mug", "lamp"]),
        ({"where": "in_stock = true and not price < 10"}, ["lamp"]),
        ({"where": "in_stock is missing", "filter_seen": False}, ["hat"]),
        ({"where": 'title contains "chair"'}, ["chair"]),
        ({"items": ["mug", "lamp"], "exclude": ["mug"], "where": "price > 1"}, ["lamp"]),
    ],
)
def test_filters_go_together(filters, expected):
    assert names(recommender().recommend("ann", **filters)[0]) == expected


def test_an_empty_list_says_why():
    for filters in ({"items": []}, {"where": "price > 1000"}, {"exclude": ITEMS}):
        for user in ("ann", "nobody"):
            (answer,) = recommender().recommend(user, **filters)
            assert len(answer) == 0
            assert "no item left: the filters allow 0 of 5 items" in answer.note
    (answer,) = recommender().recommend("has all")
    assert len(answer) == 0
    assert "the filters allow 5 of 5 items" in answer.note
    (similar,) = recommender().similar("mug", where="price > 1000")
    assert (len(similar), similar.note) == (0, "no other item is left by the filters")


def test_users_of_whom_nothing_is_known_get_the_most_popular_items_within_the_filters():
    lists = recommender().recommend(["nobody", "new customer"], 3, where="price < 50")
    assert [answer.path for answer in lists] == ["popular", "popular"]
    # The new customer has the mug in the test split: it is seen, though nothing was learned from it.
    assert [names(answer) for answer in lists] == [["mug", "lamp", "hat"], ["lamp", "hat"]]
    assert [one.score for one in lists[0]] == [2, 2, 2]
    assert lists[0].note == "user 'nobody' is not known"
    assert lists[1].note.startswith("user 'new customer' has no training interaction; only 2 items left")


def test_a_history_answers_for_an_unknown_user():
    for answer in recommender().recommend(["nobody", "new customer"], 2, history=["hat", "what is this"]):
        assert answer.path == "history"
        assert "hat" not in names(answer)
        assert names(answer) == ["chair", "shoe"]
        assert answer.note == "1 of 2 items of the history is not known"
    (anonymous,) = recommender().recommend(history=["hat"], k=1)
    assert (anonymous.user, anonymous.path, names(anonymous)) == (None, "history", ["chair"])
    (nothing,) = recommender().recommend("nobody", 1, history=["what is this"])
    assert nothing.path == "popular"
    assert nothing.note == "user 'nobody' is not known; 1 of 1 item of the history is not known"


def test_a_history_of_a_known_user_only_counts_as_seen():
    (ann,) = recommender().recommend("ann", 2, history={"ann": ["mug"], "bob": ["hat"]})
    assert (ann.path, names(ann)) == ("known", ["lamp", "chair"])


def test_all_paths_stand_beside_one_another():
    lists = recommender().recommend(["ann", "x", "bob", "y", "has all"], 1, history={"y": ["hat"]})
    assert [(answer.user, answer.path, names(answer)) for answer in lists] == [
        ("ann", "known", ["mug"]),
        ("x", "popular", ["mug"]),
        ("bob", "known", ["hat"]),
        ("y", "history", ["chair"]),
        ("has all", "known", []),
    ]


def test_an_item_matrix_answers_from_the_items_of_the_user():
    similar = np.zeros((5, 5), dtype=np.float32)
    similar[4, 3], similar[4, 0], similar[0, 2] = 0.5, 0.25, 0.75
    matrix = recommender(ItemMatrix(sparse.csr_array(BOUGHT), sparse.csr_array(similar)))
    assert [(one.item, one.score) for one in matrix.recommend("ann")[0]] == [("mug", 0.25), ("lamp", 0), ("chair", 0)]
    (answer,) = matrix.recommend(history=["mug"], k=2)
    assert [(one.item, one.score) for one in answer] == [("chair", 0.75), ("lamp", 0)]
    assert answer.path == "history"
    assert [(one.item, one.score) for one in matrix.similar("hat", 2)[0]] == [("shoe", 0.5), ("mug", 0.25)]


def test_a_popularity_list_is_the_same_for_everybody():
    popular = recommender(ItemScores(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), 4))
    lists = popular.recommend(["ann", "nobody"], 2, history=["hat"])
    assert [(answer.path, names(answer)) for answer in lists] == [
        ("popular", ["chair", "lamp"]),
        ("popular", ["shoe", "chair"]),
    ]
    assert popular.recommend("ann", 1)[0].note == ""


def test_similar_items_are_those_of_the_smallest_angle():
    (similar,) = recommender().similar("chair", 2)
    assert names(similar) == ["lamp", "shoe"]
    assert [one.score for one in similar] == pytest.approx([24 / (32 * 20) ** 0.5] * 2)
    assert names(recommender().similar("chair", 9, where="in_stock = true")[0]) == ["lamp", "shoe", "mug"]
    assert [names(one) for one in recommender().similar(["mug", "hat"], 1)] == [["lamp"], ["shoe"]]
    with pytest.raises(KeyError, match="item 'nothing' is not"):
        recommender().similar("nothing")


def test_scores_are_those_of_the_lists():
    scores = recommender().score(["bob", "ann"], ["hat", "mug"])
    assert scores.tolist() == [[5, 1], [1, 5]]
    with pytest.raises(KeyError, match="user 'nobody' is not"):
        recommender().score("nobody", "hat")


@pytest.mark.parametrize("k", [0, -1])
def test_a_list_has_at_least_one_item(k):
    with pytest.raises(ValueError, match="k must be at least 1"):
        recommender().recommend("ann", k)
    with pytest.raises(ValueError, match="k must be at least 1"):
        recommender().similar("mug", k)


def test_one_text_is_not_a_sequence_of_ids():
    for wrong in ({"items": "mug"}, {"exclude": "mug"}, {"history": "mug"}):
        with pytest.raises(TypeError, match=r"not one text; write \['mug'\]"):
            recommender().recommend("ann", **wrong)


def test_a_ranking_by_index_has_the_items_of_the_lists():
    ranked = recommender().rank(["has all", "ann", "nobody"], 4, Filters(where="price < 100"))
    assert ranked.items.tolist() == [[-1, -1, -1, -1], [0, 1, 2, -1], [0, 1, 4, 2]]
    assert ranked.scores[1].tolist() == [5, 4, 4, -torch.inf]
    assert ranked.paths == ("known", "known", "popular")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("scoring", Vectors(USERS[:2], VECTORS)),
        ("history", sparse.csr_array(BOUGHT[:, :3])),
        ("users", Vocabulary("user", ["ann"])),
    ],
)
def test_parts_of_different_sizes_are_refused(part, value):
    with pytest.raises(ValueError, match="all parts must be of one data set"):
        recommender(**{part: value})
