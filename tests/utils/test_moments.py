import pytest

from flatrec.utils.moments import as_date_time, parse_moment


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86400),
        ("1970-01-01T00:01", 60),
        ("1970-01-01 00:00:01+01:00", -3599),
        ("1970-01-01T00:00:01Z", 1),
        (" 1969-12-31 ", -86400),
        ("1970-01-01T00:00:00.25", 1),
        ("1969-12-31T23:59:58.5", -1),
    ],
)
def test_moments_are_in_utc_and_fractions_of_a_second_are_rounded_up(text, seconds):
    assert parse_moment(text, "split.test_from") == seconds


@pytest.mark.parametrize("text", ["", "soon", "2024", "2024-13-01", "1704067200", "01.03.2024"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="split.test_from must be a date such as 2024-03-01"):
        parse_moment(text, "split.test_from")


def test_a_time_is_written_as_it_is_read():
    for seconds in (0, 60, -1, 1_704_067_199, 253_402_300_799):
        assert parse_moment(as_date_time(seconds), "x") == seconds


def test_times_beyond_the_calendar_stay_numbers():
    assert as_date_time(2**60) == str(2**60)
