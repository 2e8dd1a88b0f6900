"""Interactions that are newer than a recommender."""

from __future__ import annotations

import pytest

from flatrec.inference.new_interactions import add_interactions
from flatrec.inference.storage import save_recommender
from tests.inference.shops import AFTER, BEFORE, dataset, recommender


def listed(answer):
    return [one.item for one in answer]


def test_known_users_keep_what_was_learned_and_get_nothing_that_they_bought_since():
    before = recommender()
    after = before.with_interactions(AFTER)
    assert listed(before.recommend("ann", 4)[0]) == ["mug", "pan"]  # cup and jug are seen
    answer = after.recommend("ann", 4)[0]
    assert (listed(answer), answer.path) == (["pan"], "known")
    assert answer[0].score == before.recommend("ann", 4)[0][1].score
    assert listed(after.recommend("bob", 4)[0]) == listed(before.recommend("bob", 4)[0])  # of whom there is nothing new
    assert before.seen.nnz == 5


def test_users_without_training_are_answered_by_their_interactions():
    after = recommender().with_interactions(AFTER)
    dan, cat = after.recommend(["dan", "cat"], 4)
    by_hand = recommender().recommend("dan", 4, history=["cup", "pan"])[0]
    assert (dan.path, listed(dan)) == ("history", listed(by_hand))
    assert [one.score for one in dan] == [one.score for one in by_hand]
    assert (cat.path, listed(cat)) == ("history", ["mug", "jug"])  # pan and cup are hers, and more items are like cup
    assert recommender().recommend("cat", 4)[0].path == "popular"
    assert set(listed(after.recommend("dan", 4, filter_seen=False)[0])) == set(BEFORE.items)


def test_a_history_that_is_given_with_a_request_comes_to_what_is_known():
    after = recommender().with_interactions(AFTER)
    known = after.histories["dan"]
    given = after.recommend("dan", 4, history=["mug"])[0]
    assert listed(given) == listed(recommender().recommend("dan", 4, history=[*known, "mug"])[0])
    assert {*known, "mug"}.isdisjoint(listed(given))


def test_rank_for_exports_knows_the_histories_too():
    after = recommender().with_interactions(AFTER)
    ranked = after.rank(["dan", "ann"], 4)
    assert ranked.paths == ("history", "known")
    assert [after.items[item] for item in ranked.items[0].tolist() if item >= 0] == listed(after.recommend("dan", 4)[0])


def test_what_was_done_is_counted_and_said():
    added = add_interactions(recommender(), AFTER)
    assert (added.seen, added.histories, added.unknown_items, added.left_out) == (1, 2, 1, 1)  # ann's mug; her bowl
    assert added.sentence("shop") == (
        "'shop': 1 new interaction of users that the recommender was trained on are masked; 2 other users with "
        "interactions get lists by history; 1 interaction with 1 item that the recommender does not know are left out"
    )


def test_the_same_data_change_nothing():
    added = add_interactions(recommender(), BEFORE)
    assert (added.seen, added.left_out) == (0, 0)
    assert added.histories == 1  # cat has a test interaction, and no training
    assert listed(added.recommender.recommend("ann", 4)[0]) == ["mug", "pan"]


def test_newer_data_may_come_twice():
    first = recommender().with_interactions(AFTER)
    second = first.with_interactions(dataset(["eve", "ann"], ["jug", "pan"], [("eve", "jug", 0), ("ann", "pan", 0)]))
    assert [answer.path for answer in second.recommend(["dan", "eve"], 1)] == ["history", "history"]
    answer = second.recommend("ann", 4)[0]
    assert listed(answer) == []
    assert "the filters allow" in answer.note


def test_it_is_not_saved_as_the_folder_would_lose_the_histories(tmp_path):
    with pytest.raises(ValueError, match=r"^a recommender with newer interactions has histories .* with_interactions$"):
        save_recommender(recommender().with_interactions(AFTER), tmp_path / "saved")


def test_data_of_another_shop_are_refused():
    other = dataset(["ann"], ["sofa", "desk"], [("ann", "sofa", 0)], name="furniture")
    with pytest.raises(ValueError, match=r"^'furniture' has no item in common .*\['sofa', 'desk'\], .*'cup'.*$"):
        recommender().with_interactions(other)
