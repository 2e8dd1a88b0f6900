"""Every method on a table of twelve rows, with the answer worked out by hand."""

import numpy as np
import pytest

from flatrec.config import SplitSettings
from tests.data.splitting.tables import TWELVE, data_set, parts

ALL = "ua ub uc ud ue va vb vc vd wa wb wc"


def split(method, **settings):
    return parts(data_set(settings={"method": method, **settings}))


def test_time_by_ratios_takes_the_newest_events_of_all_users():
    # Sorted days 1 2 3 4 4 5 6 6 7 8 9 10: a sixth is two, so test begins at day 9 and validation at day 7.
    assert split("time", ratios=(4, 1, 1)) == ["ua ub uc ud va vb vc wa", "ue wb", "vd wc"]


def test_time_rounds_fractions_down():
    # A tenth of 12 is one; a ninth of the 11 before it is one.
    assert split("time") == ["ua ub uc ud ue va vb vc wa wb", "vd", "wc"]


def test_events_of_the_time_at_a_cut_go_to_the_later_side_together():
    # Test has 3 of 12, validation 2 of the 9 before them; the second of these shares day 6 with a third.
    assert split("time", ratios=(7, 2, 3)) == ["ua ub uc va vb wa", "ud vc wb", "ue vd wc"]


def test_time_by_dates():
    dates = {"valid_from": "2024-01-04", "test_from": "2024-01-07T00:00:01", "test_until": "2024-01-10"}
    dataset = data_set(settings={"method": "time", **dates})
    assert parts(dataset) == ["ua ub vb", "uc ud va vc wa wb", "ue vd"]
    assert dataset.split_report.late == 1
    assert "1 event after split.test_until left out" in dataset.warnings


def test_a_date_that_is_not_set_follows_from_the_ratios():
    # Test from day 8 on is 3 events; a third of the 9 before them is validation, from day 6 on.
    assert split("time", ratios=(2, 1, 1), test_from="2024-01-08") == ["ua ub uc va vb wa", "ud vc wb", "ue vd wc"]
    # Validation from day 6 on is set; a quarter of all 12 is test.
    assert split("time", ratios=(2, 1, 1), valid_from="2024-01-05") == ["ua ub uc vb wa", "ud va vc wb", "ue vd wc"]


def test_a_date_is_in_utc_unless_it_names_a_zone():
    # 01:00 in a zone an hour ahead is midnight in UTC.
    for date in ("2024-01-09", "2024-01-09T01:00:00+01:00", "2024-01-08T23:59:59.5"):
        assert split("time", ratios=(3, 1, 1), test_from=date)[2] == "vd wc"


def test_validation_may_be_left_out_by_its_ratio():
    assert split("time", ratios=(9, 0, 1), test_from="2024-01-08T12:00") == [
        "ua ub uc ud ue va vb vc wa wb",
        "",
        "vd wc",
    ]
    assert split("time", ratios=(5, 0, 1)) == ["ua ub uc ud ue va vb vc wa wb", "", "vd wc"]


def test_test_may_be_left_out_by_its_ratio():
    assert split("time", ratios=(5, 1, 0)) == ["ua ub uc ud ue va vb vc wa wb", "vd wc", ""]


@pytest.mark.parametrize(
    ("n_last", "expected"),
    [
        (1, ["ua ub uc va vb wa", "ud vc wb", "ue vd wc"]),
        (2, ["ua va vb vc vd wa wb wc", "ub uc", "ud ue"]),  # v and w have fewer than five events
    ],
)
def test_leave_last(n_last, expected):
    assert split("leave-last", n_last=n_last) == expected


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ((8, 1, 1), ["ua ub uc va vb wa", "ud vc wb", "ue vd wc"]),
        ((1, 1, 2), ["ua ub vb wa", "uc va wb", "ud ue vc vd wc"]),  # of 5, 4, 3 events: 1, 1, 1 and 2, 2, 1
        ((1, 0, 1), ["ua ub uc va vb wa wb", "", "ud ue vc vd wc"]),
    ],
)
def test_user_time(ratios, expected):
    assert split("user-time", ratios=ratios) == expected


@pytest.mark.parametrize("method", ["leave-last", "user-time"])
def test_events_of_a_user_at_one_time_are_ordered_by_item(method):
    rows = [(5, "u", item) for item in ("10", "9", "8", "7")]
    assert parts(data_set(rows, settings={"method": method})) == ["u7 u8", "u9", "u10"]


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0, 2.0], [1.0, 1.0, 2.0, 1.0]])
def test_events_of_one_item_at_one_time_are_ordered_by_weight(weights):
    rows = [(1, "u", "a"), (2, "u", "b"), (3, "u", "c"), (3, "u", "c")]
    dataset = data_set(rows, settings={"method": "leave-last"}, repeat=True, weight=weights)
    assert parts(dataset) == ["ua ub", "uc", "uc"]
    assert dataset.interactions.weights.tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize("weights", [[3.0, 1.0, 1.0, 1.0], [1.0, 3.0, 1.0, 1.0]])
def test_of_equal_purchases_a_return_cancels_the_one_of_the_largest_weight(weights):
    rows = [(1, "u", "a"), (1, "u", "a"), (2, "u", "a"), (3, "u", "b")]
    dataset = data_set(rows, settings={"method": "none"}, weight=weights, quantity=[1.0, 1.0, -1.0, 1.0])
    assert dataset.interactions.weights.tolist() == [1, 1]


@pytest.mark.parametrize("seed", [0, 1])
def test_random_draws_from_each_users_items(seed):
    draws = np.random.default_rng(seed).random(12)
    expected = ["", "", ""]
    for items, numbers in zip(("ua ub uc ud ue", "va vb vc vd", "wa wb wc"), np.split(draws, [5, 9]), strict=True):
        order = [pair for _, pair in sorted(zip(numbers, items.split(), strict=True))]
        for part, drawn in enumerate((order[2:], order[:1], order[1:2])):  # one each for validation and test
            expected[part] += " " + " ".join(drawn)
    assert split("random", seed=seed) == [" ".join(sorted(part.split())) for part in expected]


@pytest.mark.parametrize(("method", "place", "names"), [("cold-items", 1, "abcde"), ("cold-users", 0, "uvw")])
def test_cold_splits_draw_whole_items_or_users(method, place, names):
    valid, test = np.random.default_rng(3).permutation(len(names))[:2]
    of_valid, of_test = ([pair for pair in ALL.split() if pair[place] == names[drawn]] for drawn in (valid, test))
    train = [pair for pair in ALL.split() if pair not in of_valid + of_test]
    assert split(method, seed=3) == [" ".join(part) for part in (train, of_valid, of_test)]


def test_none_keeps_all_for_training():
    assert split("none") == [ALL, "", ""]


def test_given_is_as_the_data_say():
    dataset = data_set(split=[0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 0])
    assert parts(dataset) == ["ua ub uc va vb wa wc", "ud vc wb", "ue vd"]
    assert dataset.split_report.settings.method == "given"


def test_given_data_can_be_split_otherwise_and_back():
    dataset = data_set(split=[0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 0])
    other = dataset.split_again(SplitSettings(method="leave-last"))
    assert parts(other) == ["ua ub uc va vb wa", "ud vc wb", "ue vd wc"]
    assert other.split_again(SplitSettings(method="given")).fingerprint == dataset.fingerprint


def test_settings_of_the_command_win_over_those_of_the_data():
    dataset = data_set(settings={"method": "leave-last", "n_last": 2})
    assert parts(dataset.split_again(SplitSettings(n_last=1))) == ["ua ub uc va vb wa", "ud vc wb", "ue vd wc"]
    assert parts(dataset.split_again(SplitSettings(method="time", ratios=(4, 1, 1))))[2] == "vd wc"
    assert dataset.split_again(SplitSettings(method="leave-last")) is dataset


REPEATS = (*TWELVE, (10, "u", "a"), (8, "v", "b"), (9, "v", "d"))


def test_a_test_item_that_the_user_has_in_training_is_dropped_and_counted():
    dataset = data_set(REPEATS, settings={"method": "time", "valid_from": "2024-01-07", "test_from": "2024-01-09"})
    assert parts(dataset) == ["ua ub uc ud va vb vc wa", "ue wb", "vd wc"]
    assert dataset.split_report.repeats == 2  # ua in test, vb in validation; vd is twice in test alone
    assert "2 validation or test interactions dropped" in " ".join(dataset.warnings)


def test_or_stays_where_the_data_say_repeat():
    settings = {"method": "time", "valid_from": "2024-01-07", "test_from": "2024-01-09"}
    dataset = data_set(REPEATS, settings=settings, repeat=True)
    assert parts(dataset) == ["ua ub uc ud va vb vc wa", "ue vb wb", "ua vd wc"]
    assert dataset.interactions.repeats
    assert (dataset.split_report.repeats, dataset.split_report.repeats_stay) == (2, True)


def test_events_are_summed_within_each_split_and_the_latest_time_stays():
    rows = [(1, "u", "a"), (3, "u", "a"), (4, "u", "b"), (5, "u", "c"), (6, "u", "c")]
    settings = {"method": "time", "valid_from": "2024-01-04", "test_from": "2024-01-05"}
    interactions = data_set(rows, settings=settings, weight=[1.0, 0.5, 2.0, 0.25, 0.5]).interactions
    assert interactions.weights.tolist() == [1.5, 2.0, 0.75]
    assert ((interactions.timestamps - 1_704_067_200) // 86400 + 1).tolist() == [3, 4, 6]


def test_half_life_counts_from_the_newest_training_event():
    rows = [(1, "u", "a"), (3, "u", "b"), (4, "u", "c"), (5, "u", "d")]
    settings = {"method": "time", "valid_from": "2024-01-04", "test_from": "2024-01-05"}
    interactions = data_set(rows, settings=settings, half_life=86400.0).interactions
    assert interactions.weights.tolist() == [0.25, 1.0, 1.0, 1.0]


RETURNS = ((1, "u", "a"), (2, "u", "b"), (3, "u", "c"), (4, "u", "a"), (5, "u", "d"), (6, "u", "d"), (7, "u", "e"))
QUANTITIES = [1.0, 1.0, 1.0, -1.0, 2.0, -1.0, 1.0]


def test_a_return_cancels_the_purchase_before_it():
    dataset = data_set(RETURNS, settings={"method": "none"}, quantity=QUANTITIES)
    assert parts(dataset) == ["ub uc ud ue", "", ""]
    assert (dataset.split_report.canceled, dataset.split_report.unmatched_returns) == (1, 0)


def test_by_time_training_does_not_know_of_returns_after_it():
    settings = {"method": "time", "valid_from": "2024-01-04", "test_from": "2024-01-07"}
    dataset = data_set(RETURNS, settings=settings, quantity=QUANTITIES, weigh_quantities=True)
    assert parts(dataset) == ["ua ub uc", "ud", "ue"]
    assert dataset.interactions.weights.tolist() == [1, 1, 1, 1, 1]  # one of two d is left
    assert (dataset.split_report.canceled, dataset.split_report.unmatched_returns) == (0, 1)


def test_leave_last_leaves_the_last_purchases_that_stand():
    dataset = data_set(RETURNS, settings={"method": "leave-last"}, quantity=QUANTITIES)
    assert parts(dataset) == ["ub uc", "ud", "ue"]


def test_users_and_items_without_training_are_kept_counted_and_told():
    dataset = data_set(settings={"method": "time", "valid_from": "2024-01-04", "test_from": "2024-01-08"})
    # Training: ua vb ub. Validation: wa uc va ud vc wb. Test: ue vd wc.
    figures = dataset.split_description
    assert [vars(figures.splits[name])["users_without_training"] for name in ("train", "valid", "test")] == [0, 1, 1]
    assert [vars(figures.splits[name])["items_without_training"] for name in ("train", "valid", "test")] == [0, 2, 3]
    assert (figures.splits["valid"].first, figures.splits["valid"].last) == ("2024-01-04", "2024-01-07")
    said = " ".join(dataset.warnings)
    assert "1 of the 3 users with a test interaction have no training interaction" in said
    assert "3 of the 3 items with a test interaction have no training interaction" in said


def test_the_settings_as_used_have_defaults_and_dates():
    dataset = data_set(settings={"method": "time", "ratios": (4, 1, 1)})
    assert dataset.split_description.settings.given == {
        "method": "time",
        "ratios": (4.0, 1.0, 1.0),
        "valid_from": "2024-01-07",
        "test_from": "2024-01-09",
    }
    assert data_set().split_description.settings.given == {"method": "random", "ratios": (8.0, 1.0, 1.0), "seed": 0}
