from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatrec.data.tables.files import Table, TableRows, scan
from flatrec.data.tables.times import as_timestamps, parse_duration

NOW = 1_800_000_000  # 2027-01-15
AT = 1_704_445_230  # 2024-01-05T09:00:30Z


def seconds(values, dtype=None):
    frame = pl.DataFrame({"when": pl.Series(values, dtype=dtype)})
    rows = TableRows(Table(Path("log.parquet"), frame.lazy(), ["when"]), frame, {"time": "when"}, np.arange(len(frame)))
    return as_timestamps(rows, "time", NOW).to_list()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([AT, AT + 1], [AT, AT + 1]),
        ([AT * 1_000 + 999, AT * 1_000 + 1_000], [AT, AT + 1]),
        ([AT * 10**6 + 999_999, 0], [AT, 0]),
        ([0, AT * 10**9 + 999_999_999], [0, AT]),
        ([float(AT) + 0.9, -0.5], [AT, -1]),
        ([AT * 1_000.0], [AT]),
        ([20240105, 19700102], [1_704_412_800, 86_400]),
        ([20_500_000, 19_999_999, 5], [20_500_000, 19_999_999, 5]),
        ([datetime(1969, 12, 31, 23, 59, 59, 500_000)], [-1]),
        ([date(2024, 1, 5), date(1970, 1, 1)], [1_704_412_800, 0]),
        ([datetime(2024, 1, 5, 9, 0, 30), datetime(1970, 1, 1)], [AT, 0]),
        ([datetime(2024, 1, 5, 10, 0, 30, tzinfo=timezone(timedelta(hours=1)))], [AT]),
        (["2024-01-05", "1970-01-01 "], [1_704_412_800, 0]),
        (["2024-01-05T09:00:30", " 2024-01-05 09:00:30.999"], [AT, AT]),
        (["2024-01-05 09:00", "1969-12-31 23:59:59"], [AT - 30, -1]),
        (["2024-01-05T09:00:30Z", "2024-01-05T10:00:30+01:00", "2024-01-05 03:30:30-0530"], [AT, AT, AT]),
        (["2024-01-05 09:00:30 UTC", "2024-01-05 11:00:30+02"], [AT, AT]),
        ([str(AT), f" {AT + 1}"], [AT, AT + 1]),
        ([str(AT), f"{AT}.7"], [AT, AT]),
        ([f"{AT}500", f"{AT + 1}500"], [AT, AT + 1]),
        (["20240105"], [1_704_412_800]),
    ],
)
def test_times_of_every_kind_become_unix_seconds(values, expected):
    assert seconds(values) == expected


def test_times_in_dictionaries_and_other_units_are_read():
    assert seconds(["2024-01-05T09:00:30Z"], pl.Categorical) == [AT]
    assert seconds([str(AT)], pl.Enum([str(AT)])) == [AT]
    for unit in ("ms", "us", "ns"):
        assert seconds([datetime(2024, 1, 5, 9, 0, 30)], pl.Datetime(unit)) == [AT]
    assert seconds([AT], pl.UInt64) == seconds([AT], pl.Int32) == [AT]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([AT, None], "with 1 of 2 values that are no times, the first, an empty cell, in row 2; expected Unix seconds"),
        (["2024-01-05", "soon", ""], "with 2 of 3 values that are no times, the first, 'soon', in row 2; expected"),
        (["2024-02-30"], "no times, the first, '2024-02-30', in row 1"),
        (["2024-01-05T25:00:00"], "no times, the first, '2024-01-05T25:00:00', in row 1"),
        (["05.01.2024"], "no times"),
        (["2024-01-05T09:00:00+25:00"], "no times"),
        ([20240105, 20241305], "1 of 2 values that are no times, the first, 20241305, in row 2"),
        ([float("nan")], "no times"),
        ([float("inf"), 1.0], "no times"),
        ([2**64 - 1], "lie in the future"),
        (
            [AT, AT * 1_000],
            rf"1 of 2 values that are Unix milliseconds, while the first row has Unix seconds \({AT}\), the first, "
            rf"{AT}000, in row 2; write all times of a column alike",
        ),
        (
            [AT, 20240105],
            "are dates such as 20240105, while|are dates such as 20240131, while the first row has Unix s",
        ),
        (["2024-01-05", str(AT)], "are Unix seconds, while the first row has dates without a time of day"),
        (["2024-01-05", "2024-01-05T09:00"], "are times without a zone, while the first row has dates without a time"),
        (["2024-01-05 09:00Z", "2024-01-05 09:00"], "are times without a zone, while the first row has times with a z"),
        ([NOW, NOW + 86_401], rf"1 of 2 values that lie in the future, the first, {NOW + 86_401}, in row 2; check the"),
        (["2927-01-01"], "lie in the future, the first, '2927-01-01', in row 1"),
        ([True], "of truth values, which are no times; expected Unix seconds"),
        ([timedelta(1)], "of durations, which are no times"),
    ],
)
def test_what_is_no_time_is_refused_by_its_first_row(values, message):
    dtype = pl.UInt64 if values == [2**64 - 1] else None
    with pytest.raises(ValueError, match=r"^log\.parquet has column 'when' .*(" + message + ")") as caught:
        seconds(values, dtype)
    assert "\n" not in str(caught.value)


def test_a_day_ahead_of_the_clock_is_no_future():
    assert seconds([NOW + 86_400]) == [NOW + 86_400]


def test_the_row_is_that_of_the_file(tmp_path):
    (tmp_path / "log.csv").write_text("when,x\n2024-01-05,1\n\n2024-13-05,1\n")
    rows = scan(tmp_path / "log.csv").select({"time": "when"})
    with pytest.raises(ValueError, match="the first, '2024-13-05', in line 4"):
        as_timestamps(rows, "time")


@given(st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2026, 1, 1)), min_size=1, max_size=5), st.integers(-14, 14))
def test_texts_and_columns_of_times_agree_in_every_zone(moments, hours):
    moments = [moment.replace(microsecond=0) for moment in moments]
    zone = timezone(timedelta(hours=hours))
    expected = [int((moment - datetime(1970, 1, 1)).total_seconds()) for moment in moments]
    assert seconds(moments) == expected
    assert seconds([moment.isoformat() for moment in moments]) == expected
    zoned = [moment.replace(tzinfo=zone) for moment in moments]
    assert seconds([moment.isoformat(" ") for moment in zoned]) == [second - hours * 3_600 for second in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90 days", 7_776_000), ("1 week", 604_800), ("1.5 hours", 5_400), ("30minutes", 1_800), (" 5 seconds ", 5)],
)
def test_durations_have_units(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["90", "days", "-1 days", "3 months", "1 day 2 hours", "1e3 days"])
def test_other_durations_are_refused(text):
    with pytest.raises(ValueError, match=r'half_life must be such as "90 days", in seconds, .* but is '):
        parse_duration(text)
