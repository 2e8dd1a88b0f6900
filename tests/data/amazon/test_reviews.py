"""Which reviews become which interactions, and when they were written."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatrec.data.amazon import review_log
from flatrec.data.amazon.reviews import read_reviews
from tests.data.amazon.files import write_lines


def review(user, item, **fields):
    return json.dumps({"reviewerID": user, "asin": item, **fields})


def read(path, *lines, k_core=0):
    return read_reviews(write_lines(path / "r.json", lines), k_core=k_core)


def by_id(reviews):
    users, items = reviews.user_ids.to_list(), reviews.item_ids.to_list()
    times = [None] * len(reviews.users) if reviews.timestamps is None else reviews.timestamps.tolist()
    cells = zip(reviews.users.tolist(), reviews.items.tolist(), times, strict=True)
    return [(users[user], items[item], second) for user, item, second in cells]


def test_times_are_in_seconds_and_the_latest_of_a_repeated_review_is_kept(tmp_path):
    found = read(
        tmp_path,
        review("v", "a", unixReviewTime=1_400_000_000),
        review("u", "b", unixReviewTime=1_300_000_002),
        review("u", "b", unixReviewTime=1_300_000_003),
        review("u", "b", unixReviewTime=1_300_000_001),
        json.dumps({"user_id": "u", "parent_asin": "a", "timestamp": 1_588_687_728_923}),
    )
    assert by_id(found) == [("u", "a", 1_588_687_728), ("u", "b", 1_300_000_003), ("v", "a", 1_400_000_000)]
    assert (found.read, found.distinct, dict(found.skipped)) == (5, 3, {})
    assert found.timestamps.dtype == np.int64


@pytest.mark.parametrize(
    "second", ["1400000000", None, True, -1, 0, 10**400, float("nan"), float("inf"), [1], "in two days"]
)
def test_a_review_without_a_valid_time_is_left_out_and_counted_if_others_have_one(tmp_path, second):
    second = int(time.time()) + 2 * 86_400 if second == "in two days" else second
    found = read(tmp_path, review("u", "a", unixReviewTime=second), review("v", "b", unixReviewTime=1_400_000_000))
    assert by_id(found) == [("v", "b", 1_400_000_000)]
    assert (found.read, dict(found.skipped)) == (1, {"without a valid time": 1})


def test_reviews_of_which_none_has_a_time_are_kept_without_times(tmp_path):
    found = read(tmp_path, review("u", "a"), review("v", "b", unixReviewTime="yesterday"))
    assert by_id(found) == [("u", "a", None), ("v", "b", None)]
    assert not found.skipped


def test_ids_follow_their_values_if_all_that_remain_are_whole_numbers(tmp_path):
    numbers = [review(user, item) for user in ("10", "9") for item in ("100", "020", "20")]
    found = read(tmp_path, *numbers, review("x", "100"), k_core=2)
    assert (found.user_ids.to_list(), found.item_ids.to_list()) == (["9", "10"], ["020", "20", "100"])
    assert (found.users.tolist(), found.items.tolist()) == ([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2])
    assert (found.filtered_users, found.filtered_items, found.distinct) == (1, 0, 7)
    assert read(tmp_path, *numbers, review("x", "100")).user_ids.to_list() == ["10", "9", "x"]


def test_an_id_with_half_a_character_is_left_out_and_counted(tmp_path):
    found = read(tmp_path, '{"reviewerID": "\\ud800", "asin": "a"}', review("Ёлка", "a"))
    assert by_id(found) == [("Ёлка", "a", None)]
    assert dict(found.skipped) == {"without user or item": 1}


cells = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 99))


@given(st.lists(cells, min_size=1, max_size=60), st.integers(0, 3), st.integers(1, 7))
def test_the_interactions_are_those_of_a_plain_loop_however_long_the_parts_are(
    tmp_path_factory, reviews, k_core, rows_per_part
):
    latest = {}
    for user, item, second in reviews:
        latest[f"u{user}", f"i{item}"] = max(second, latest.get((f"u{user}", f"i{item}"), 0))
    distinct = len(latest)
    weak = True
    while weak:
        weak = [
            cell
            for cell in latest
            if any(sum(other[side] == cell[side] for other in latest) < k_core for side in (0, 1))
        ]
        for cell in weak:
            del latest[cell]
    lines = [review(f"u{user}", f"i{item}", unixReviewTime=second) for user, item, second in reviews]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(review_log, "ROWS_PER_PART", rows_per_part)
        if not latest:
            with pytest.raises(ValueError, match="lower --k-core"):
                read(tmp_path_factory.mktemp("any"), *lines, k_core=k_core)
            return
        found = read(tmp_path_factory.mktemp("any"), *lines, k_core=k_core)
    assert by_id(found) == sorted((*cell, second) for cell, second in latest.items())
    assert found.distinct == distinct
