import pytest

from flatrec.config import SplitSettings
from flatrec.data.windows import window_settings, windowed
from tests.data.splitting.tables import TWELVE, data_set, parts

TIME = {"method": "time", "valid_from": "2024-01-04", "test_from": "2024-01-06"}


def test_windows_are_as_worked_by_hand():
    # Test is from day 6 to a second after day 10: two windows meet at day 8, validation is the two days before each.
    first, second = windowed(data_set(settings=TIME | {"windows": 2}))
    assert parts(first) == ["ua ub vb", "uc va wa", "ud vc wb"]
    assert parts(second) == ["ua ub uc va vb wa", "ud vc wb", "ue vd wc"]
    assert (first.split_report.late, second.split_report.late) == (3, 0)


def test_windows_end_with_the_test_period():
    first, second = windowed(data_set(settings=TIME | {"windows": 2, "test_until": "2024-01-08"}))
    assert [parts(window)[2] for window in (first, second)] == ["ud vc", "wb"]
    assert parts(second)[:2] == ["ua ub uc vb wa", "ud va vc"]


def test_windows_have_equal_lengths_and_join():
    split = SplitSettings(
        method="time", valid_from="1970-01-01T00:00:10", test_from="1970-01-01T00:00:30",
        test_until="1970-01-01T00:01:30", windows=4,
    )  # fmt: skip
    windows = window_settings(split)
    assert [window.test_from[-2:] for window in windows] == ["30", "45", "00", "15"]
    assert [window.test_until[-2:] for window in windows] == ["45", "00", "15", "30"]
    assert [window.valid_from[-2:] for window in windows] == ["10", "25", "40", "55"]
    assert {window.windows for window in windows} == {0}


def test_each_test_interaction_is_in_one_window():
    whole = data_set(settings={"method": "time", "ratios": (1, 1, 2), "windows": 3})
    tested = [pair for window in windowed(whole) for pair in parts(window)[2].split()]
    assert sorted(tested) == parts(whole)[2].split()
    for window in windowed(whole):
        times, splits = window.interactions.timestamps, window.interactions.splits
        assert times[splits == 0].max() < times[splits == 1].min()
        assert times[splits == 1].max() < times[splits == 2].min()


def test_one_window_is_the_split_itself():
    (window,) = windowed(data_set(settings=TIME | {"windows": 1}))
    assert window.fingerprint == data_set(settings=TIME).fingerprint


def test_returns_in_a_window_count_for_the_next():
    rows = (*TWELVE, (7, "u", "a"))
    quantity = [1.0] * 12 + [-1.0]
    first, second = windowed(data_set(rows, settings=TIME | {"windows": 2}, quantity=quantity))
    assert "ua" in parts(first)[0].split()
    assert "ua" in parts(second)[0].split()  # the return is in validation, of which training knows nothing
    newest = {"method": "time", "valid_from": "2024-01-08", "test_from": "2024-01-09", "windows": 1}
    (third,) = windowed(data_set(rows, settings=newest, quantity=quantity))
    assert "ua" not in parts(third)[0].split()


def test_a_window_without_interactions_is_named():
    rows = [row for row in TWELVE if not 6 < row[0] < 9]
    with pytest.raises(ValueError, match=r"window 2 of 3, from 2024-01-07T08:00:00 to .* leaves no test interaction"):
        windowed(data_set(rows, settings=TIME | {"windows": 3}))


def test_windows_shorter_than_a_second_are_refused():
    with pytest.raises(ValueError, match="split.windows is 400000, but the test period .* has only 345601 seconds"):
        windowed(data_set(settings=TIME | {"windows": 400_000}))


def test_a_split_without_windows_is_refused():
    with pytest.raises(ValueError, match="the split has no windows; set split.method = time and split.windows"):
        windowed(data_set(settings=TIME))
