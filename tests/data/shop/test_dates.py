import numpy as np
import pytest

from flatrec.data.shop import dates
from flatrec.data.shop.catalog import draw_catalog
from flatrec.data.shop.dates import draw_dates
from flatrec.data.shop.purchases import Market, draw_purchases
from flatrec.data.shop.timeline import DAY, END, HOUR, START, to_seconds

N_USERS = 1500
CATALOG = draw_catalog(300, np.random.default_rng(0))
PURCHASES = draw_purchases(CATALOG, N_USERS, 9 * N_USERS, market=Market(), rng=np.random.default_rng(1))


USERS, ITEMS = PURCHASES


def drawn(seed=2):
    return draw_dates(CATALOG, PURCHASES, N_USERS, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def dated():
    return drawn()


def pauses(timestamps):
    """The seconds between consecutive purchases of one user."""
    order = np.lexsort((timestamps, USERS))
    return np.diff(timestamps[order])[np.diff(USERS[order]) == 0]


def test_purchases_are_within_the_two_years_with_an_hour_to_spare(dated):
    assert dated.purchases.min() >= START + HOUR
    assert dated.purchases.max() <= END - HOUR


def test_no_item_is_bought_within_the_hour_after_the_midnight_of_its_launch(dated):
    assert (dated.purchases - dated.launches[ITEMS]).min() >= HOUR
    assert not (dated.launches % DAY).any()


def test_the_midnight_of_a_launch_is_the_last_one_an_hour_or_more_before_it():
    launches = np.linspace(0, 1, 5000)
    before = to_seconds(launches) - dates._midnights(launches)
    assert before.min() >= HOUR
    assert before.max() < DAY + HOUR


def test_items_are_launched_before_and_throughout_the_two_years(dated):
    assert 0.5 < (dated.launches < START).mean() < 0.7
    assert dated.launches.min() >= START - (END - START) - DAY
    assert (dated.launches > END - 120 * DAY).any()


def test_users_come_in_visits_of_several_purchases_and_return_after_weeks(dated):
    seconds = pauses(dated.purchases)
    within = seconds < HOUR
    assert 0.4 < within.mean() < 0.7
    assert (seconds[within] <= 2700).mean() > 0.99  # the others are two visits within an hour
    days = seconds[~within] / DAY
    assert 14 < np.median(days) < 90
    assert np.quantile(days, 0.95) > 10 * np.quantile(days, 0.2)


def test_users_join_throughout_and_most_of_them_come_in_the_last_half_year(dated):
    first, last = np.full(N_USERS, END), np.zeros(N_USERS, dtype=np.int64)
    np.minimum.at(first, USERS, dated.purchases)
    np.maximum.at(last, USERS, dated.purchases)
    assert np.histogram(first, bins=8, range=(START, END))[0].min() > 0.03 * N_USERS
    assert 0.4 < (last > END - 183 * DAY).mean() < 0.9


def test_what_a_user_buys_of_one_kind_comes_together_in_time(dated, monkeypatch):
    def distance(timestamps):
        order = np.lexsort((timestamps, USERS))
        same_user = np.diff(USERS[order]) == 0
        kinds = CATALOG.codes["kind"][ITEMS[order]]
        return (np.diff(kinds) == 0)[same_user].mean()

    alike = distance(dated.purchases)
    monkeypatch.setattr(dates, "PHASES", {"kind": 0.0})
    assert alike > 1.1 * distance(drawn().purchases)


def test_sales_grow_and_peak_before_christmas(dated):
    half_years = np.histogram(dated.purchases, bins=4, range=(START, END))[0]
    assert (
        1.3 < half_years[2:].sum() / half_years[:2].sum() < 1.5
    )  # with the density 1 + t over the two years it is 1.4
    assert (half_years[1::2] > half_years[::2]).all()


def test_the_same_seed_gives_the_same_dates_and_another_others(dated):
    again, other = drawn(), drawn(seed=3)
    assert all(np.array_equal(one, two) for one, two in zip(dated, again, strict=True))
    assert not np.array_equal(dated.purchases, other.purchases)
