from datetime import UTC, datetime

import numpy as np

from flatrec.data.shop.timeline import END, HOUR, START, WEEKDAYS, to_seconds

MANY = to_seconds((np.arange(400_000) + 0.5) / 400_000)


def test_the_two_years_are_2023_and_2024():
    assert datetime.fromtimestamp(START, UTC) == datetime(2023, 1, 1, tzinfo=UTC)
    assert datetime.fromtimestamp(END, UTC) == datetime(2025, 1, 1, tzinfo=UTC)


def test_times_increase_and_leave_the_first_and_last_hours_free():
    assert to_seconds(np.array([0.0, 1.0])).tolist() == [START + HOUR, END - 2 * HOUR]
    assert (np.diff(MANY) >= 0).all()


def test_weekdays_are_as_busy_as_stated():
    days = [datetime.fromtimestamp(second, UTC).weekday() for second in MANY[::20].tolist()]
    counts = np.bincount(days, minlength=7)
    np.testing.assert_allclose(counts / counts.mean(), np.array(WEEKDAYS) / np.mean(WEEKDAYS), rtol=0.03)


def test_december_is_busier_than_june_and_the_evening_than_the_night():
    dates = [datetime.fromtimestamp(second, UTC) for second in MANY[::20].tolist()]
    months = np.bincount([date.month for date in dates]) / np.array(
        [1, 31, 28.5, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    )
    assert 1.6 < months[12] / months[6] < 2.0  # (1 + 0.3) / (1 - 0.3) is 1.86
    hours = np.bincount([date.hour for date in dates])
    assert hours[19:22].min() > 4 * hours[2:5].max()
