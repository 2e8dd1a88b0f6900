from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatrec.config import SplitSettings
from flatrec.data.builder import (
    EventSettings,
    IndexedFeatures,
    ItemMetadata,
    build_dataset,
    build_indexed_dataset,
)
from flatrec.data.log import IndexedInteractions, InteractionLog
from flatrec.data.row_counts import row_counts

ALL = SplitSettings()


def frame(*rows):
    names = ["user", "item", "split"][: len(rows[0])]
    return pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows])


def test_whole_number_ids_are_numbered_by_value():
    data = build_dataset("d", frame(("10", "b"), ("9", "a"), ("-1", "a"), ("007", "a"), ("7", "a")), settings=ALL)
    assert list(data.users) == ["-1", "007", "7", "9", "10"]


def test_other_ids_are_numbered_alphabetically():
    data = build_dataset("d", frame(("10", "1"), ("9", "2"), ("x", "٣")), settings=ALL)
    assert list(data.users) == ["10", "9", "x"]
    assert list(data.items) == ["1", "2", "٣"]


def test_ids_beyond_64_bits_are_still_ids():
    assert list(build_dataset("d", frame(("9" * 30, "a"), ("1", "a")), settings=ALL).users) == ["1", "9" * 30]


def test_of_a_repeated_interaction_the_first_part_is_kept():
    data = build_dataset("d", frame(("u", "a", 2), ("u", "a", 0), ("u", "b", 2), ("u", "b", 1), ("u", "b", 2)))
    assert data.interactions.splits.tolist() == [0, 1]
    assert (data.split_report.summed, data.split_report.repeats) == (1, 2)


def test_nothing_is_filtered_unless_asked_for():
    data = build_dataset("d", frame(("u", "a", 0), ("v", "b", 2)))
    assert data.interactions.splits.tolist() == [0, 2]
    assert data.cleaning_report.filtered_interactions == 0


def test_what_the_core_leaves_out_is_counted():
    rows = [(user, item) for user in "uvw" for item in "abc"] + [("x", "a"), ("u", "z"), ("u", "z")]
    data = build_dataset("d", frame(*rows), events=EventSettings(k_core=3))
    assert (list(data.users), list(data.items)) == (list("uvw"), list("abc"))
    cleaning_report = data.cleaning_report
    assert (
        cleaning_report.filtered_events,
        cleaning_report.filtered_users,
        cleaning_report.filtered_items,
        cleaning_report.filtered_interactions,
    ) == (3, 1, 1, 2)


def test_features_titles_and_images_follow_the_items():
    data = build_dataset(
        "d",
        frame(("u", "b"), ("u", "a")),
        settings=ALL,
        features={"text": IndexedFeatures(["x", "b"], np.array([[1], [2]]), "text.npy")},
        metadata=ItemMetadata({"b": "Bee"}, {"b": Path("b.jpg")}),
    )
    assert data.features["text"].values.tolist() == [[0], [2]]
    assert data.features["text"].present.tolist() == [False, True]
    assert data.cleaning_report.unknown_features == 1
    assert data.titles == ("a", "Bee")
    assert data.images == (None, Path("b.jpg"))


def test_feature_rows_need_one_id_each_and_numbers():
    with pytest.raises(ValueError, match="text.npy has 1 rows for 2 item ids"):
        IndexedFeatures(["a", "b"], np.ones((1, 2)), "text.npy")
    with pytest.raises(ValueError, match="text.npy must be a numeric matrix"):
        IndexedFeatures(["a"], np.array([["x"]]), "text.npy")


@pytest.mark.parametrize(
    ("interactions", "message"),
    [
        (pl.DataFrame({"user": [], "item": []}), "d has no interactions"),
        (frame(("u", None), ("u", "a")), "d has 1 of 2 interactions without item id"),
        (frame(("", "a"), ("u", "a")), "d has 1 of 2 interactions without user id"),
        (frame((1, "a")), "text columns user and item"),
        (frame(("u", "a", 0), ("u", "b", None)), "1 of 2 interactions without a split"),
        (frame(("u", "a", 0), ("u", "b", 3)), r"splits must be 0 .* range from 0 to 3"),
        (frame(("u", "a", 1), ("u", "b", 2)), "2 interactions but none in training"),
    ],
)
def test_interactions_that_make_no_data_set_are_refused(interactions, message):
    with pytest.raises(ValueError, match=message):
        build_dataset("d", interactions)


def test_a_core_without_interactions_is_refused():
    with pytest.raises(ValueError, match="d has no 5-core: of its 2 interactions none .* lower k_core"):
        build_dataset("d", frame(("u", "a"), ("u", "b")), events=EventSettings(k_core=5))


def test_numbered_interactions_keep_all_their_numbers():
    given_interactions = IndexedInteractions(
        InteractionLog(np.array([0, 0]), np.array([2, 2]), 2, 3), ["u", "v"], ["a", "b", "c"]
    )
    data = build_indexed_dataset("d", given_interactions)
    assert (data.n_users, data.n_items, len(data.interactions), data.split_report.summed) == (2, 3, 1, 1)


@pytest.mark.parametrize("change", [{"seed": -1}, {"ratios": (0, 1, 1)}, {"ratios": (1, -1, 1)}, {"n_last": 0}])
def test_wrong_split_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        SplitSettings(**change)


@pytest.mark.parametrize("change", [{"k_core": -1}, {"half_life": 0.0}])
def test_wrong_event_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        EventSettings(**change)


@settings(max_examples=50, deadline=None)
@given(st.data(), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=40), st.booleans())
def test_permuting_the_rows_gives_the_same_data_set(data, interactions, given_split):
    rows = [(f"u{user}", str(item)) for user, item in interactions]
    rows = [(*row, number % 2 * 2) for number, row in enumerate(rows)] if given_split else rows
    shuffled = data.draw(st.permutations(rows))
    chosen = SplitSettings(seed=None if given_split else 3)
    first, second = (build_dataset("d", frame(*one), settings=chosen) for one in (rows, shuffled))
    assert first.fingerprint == second.fingerprint
    assert first.cleaning_report == second.cleaning_report


def events_frame(*rows):
    return pl.DataFrame(rows, schema=["user", "item", "quantity"], orient="row")


def test_returns_are_counted_and_rows_of_no_quantity_are_left_out():
    data = build_dataset("d", events_frame(("u", "a", 2.0), ("u", "a", -1.0), ("u", "b", 0.0), ("u", "c", 1.0)))
    assert list(data.items) == ["a", "c"]
    events = data.cleaning_report.events
    assert (events.rows, events.returns, events.without_quantity) == (4, 1, 1)


def test_quantities_without_returns_say_nothing():
    data = build_dataset("d", events_frame(("u", "a", 2.0), ("u", "b", 3.0)))
    assert (data.interactions.weights, data.log) == (None, None)
    assert data.fingerprint == build_dataset("d", frame(("u", "a"), ("u", "b"))).fingerprint
    weighed = build_dataset(
        "d", events_frame(("u", "a", 2.0), ("u", "b", 3.0)), events=EventSettings(weigh_quantities=True)
    )
    assert weighed.interactions.weights.tolist() == [2, 3]


def test_returns_alone_are_refused():
    with pytest.raises(ValueError, match="d has 2 returns and no purchases; check the quantities and events"):
        build_dataset("d", events_frame(("u", "a", -2.0), ("u", "b", -3.0), ("u", "b", 0.0)))


def test_the_core_is_that_of_what_is_left_after_returns():
    square = [(user, item, 1.0) for user in "uv" for item in "ab"]
    returned = [("w", "a", 1.0), ("w", "b", 1.0), ("w", "b", 1.0), ("w", "b", -2.0), ("u", "c", 1.0)]
    data = build_dataset("d", events_frame(*square, *returned), events=EventSettings(k_core=2))
    assert (list(data.users), list(data.items)) == (["u", "v"], ["a", "b"])
    report = data.cleaning_report
    assert (report.filtered_interactions, report.filtered_events, report.events.returns) == (2, 4, 1)
    _, *counts = astuple(row_counts(data))
    assert sum(counts) == len(square) + len(returned)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"half_life": 5.0},
            "half_life needs the time of every interaction, but d has none; name its column with time_",
        ),
        ({"weigh_quantities": True}, "weigh_quantities needs the quantity of every interaction, but d has none; name"),
    ],
)
def test_settings_that_need_a_column_are_refused_without_it(settings, message):
    with pytest.raises(ValueError, match=message):
        build_dataset("d", frame(("u", "a")), events=EventSettings(**settings))


def test_columns_of_items_are_those_of_the_items():
    columns = pl.DataFrame({"price": [1.0, 2.0]})
    metadata = ItemMetadata(ids=["x", "a"], columns=columns)
    data = build_dataset("d", frame(("u", "a"), ("u", "b")), metadata=metadata)
    assert data.item_columns["price"].to_list() == [2.0, None]
    assert data.cleaning_report.items_without_row == 1
    with pytest.raises(ValueError, match="item_columns has 1 rows, the data set has 2 items"):
        replace(data, item_columns=columns.head(1))
    with pytest.raises(ValueError, match="d cannot have a further column 'id' of items"):
        replace(data, item_columns=pl.DataFrame({"id": ["a", "b"]}))


def test_counts_follow_a_later_split():
    rows = [("u", "a", 1), ("u", "a", 2), ("u", "b", 3), ("u", "a", 9), ("v", "c", 4), ("v", "d", 8), ("v", "e", 9)]
    table = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
    data = build_dataset("d", table)
    assert (row_counts(data).summed, row_counts(data).repeats) == (2, 0)
    timed = data.split_again(
        SplitSettings(method="time", valid_from="1970-01-01T00:00:08", test_from="1970-01-01T00:00:09")
    )
    assert (row_counts(timed).summed, row_counts(timed).repeats, row_counts(timed).interactions) == (1, 1, 5)
    assert row_counts(timed).rows == 7
