"""What cannot be split is refused in one line that says what to do."""

import polars as pl
import pytest

from flatrec.config import SplitSettings
from flatrec.data.builder import build_dataset
from tests.data.splitting.tables import data_set

TIME = {"method": "time"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TIME | {"test_from": "2025-01-01"}, "split.test_from must lie within the data's time, after 2024-01-01 and"),
        (TIME | {"valid_from": "2024-01-01"}, "split.valid_from must lie within .* not after 2024-01-10, but is 2024-"),
        (TIME | {"test_until": "2023-01-01"}, "split.test_until must lie within the data's time"),
        (TIME | {"test_from": "soon"}, "split.test_from must be a date such as 2024-03-01, .* but is 'soon'"),
        (
            TIME | {"valid_from": "2024-01-08", "test_from": "2024-01-05"},
            "in the order valid_from, test_from, test_until, but validation begins at 2024-01-08, test at 2024-01-05;",
        ),
        (
            TIME | {"valid_from": "2024-01-04", "test_from": "2024-01-08", "test_until": "2024-01-06"},
            "test at 2024-01-08, and it ends at 2024-01-06; change one of them",
        ),
        (
            TIME | {"valid_from": "2024-01-08", "test_from": "2024-01-08"},
            r"time leaves no valid interaction in twelve \(train 9, valid 0, test 3\)",
        ),
        ({"method": "leave-last", "n_last": 3}, "split.method leave-last leaves no valid interaction in twelve"),
        ({"method": "leave-last", "seed": 1}, "split.seed is not used by split.method leave-last, which uses split.n_"),
        ({"method": "none", "ratios": (8, 1, 1)}, "split.ratios is not used by .* none, which uses no other setting"),
        ({"method": "given"}, "split.method is given, but the data give no split; name its column with split_column"),
        ({"n_last": 2}, "split.n_last is not used by split.method random"),
    ],
)
def test_settings_that_do_not_suit_the_data(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        data_set(settings=settings)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ratios": (0, 1, 1)}, "ratios must be weights of train, valid and test, the first above 0, but are"),
        ({"ratios": (8, 1)}, "ratios has too few values"),
        ({"ratios": (8, -1, 1)}, "ratios"),
        ({"method": "by-time"}, "method"),
        ({"n_last": 0}, "n_last must be at least 1"),
        ({"windows": -1}, "windows must be at least 0"),
        ({"until": "2024-01-01"}, "unknown setting"),
    ],
)
def test_settings_that_nothing_could_use(settings, message):
    with pytest.raises(ValueError, match=message):
        SplitSettings(**settings)


@pytest.mark.parametrize("method", ["time", "leave-last", "user-time"])
def test_methods_by_time_need_times(method):
    frame = pl.DataFrame({"user": ["u", "u", "u"], "item": ["a", "b", "c"]})
    with pytest.raises(ValueError, match=f"split.method {method} needs the time of every interaction, but d has none"):
        build_dataset("d", frame, settings=SplitSettings(method=method))


def test_a_split_that_is_empty_because_all_of_it_was_repeats_says_so():
    rows = [*((day, "u", item) for day, item in enumerate("abcdefgh", 1)), (9, "u", "a"), (10, "u", "b")]
    with pytest.raises(
        ValueError, match=r"\(train 8, valid 0, test 0\); 2 more are with .*: set repeat = true in data"
    ):
        data_set(rows, settings=TIME)
    assert data_set(rows, settings=TIME, repeat=True).interactions.count("valid") == 1


def test_events_of_one_time_cannot_be_split_by_it():
    with pytest.raises(ValueError, match=r"none in training \(split.method time\)"):
        data_set([(1, user, item) for user in "uvw" for item in "abcd"], settings=TIME)


@pytest.mark.parametrize("method", ["random", "time", "leave-last", "user-time", "cold-items", "none"])
def test_returns_alone_are_no_data(method):
    with pytest.raises(ValueError, match="twelve has 2 returns and no purchases; check the"):
        data_set([(1, "u", "a"), (2, "u", "b")], settings={"method": method}, quantity=[-1.0, -1.0])


@pytest.mark.parametrize("method", ["random", "leave-last", "user-time", "cold-items", "cold-users", "none"])
def test_nor_are_purchases_that_were_all_returned(method):
    with pytest.raises(ValueError, match="all purchases of twelve were returned"):
        data_set([(1, "u", "a"), (2, "u", "a")], settings={"method": method}, quantity=[1.0, -1.0])
