import numpy as np
import polars as pl
import pytest

from flatrec.data.shop import events
from flatrec.data.shop.catalog import draw_catalog
from flatrec.data.shop.dates import draw_dates
from flatrec.data.shop.events import EVENTS, Shopping, draw_events
from flatrec.data.shop.offers import draw_offers
from flatrec.data.shop.purchases import Market, draw_purchases
from flatrec.data.shop.timeline import DAY, END, START

N_USERS, N_ITEMS = 500, 200
KEY = ["user", "item"]


@pytest.fixture(scope="module")
def catalog_and_purchases():
    catalog = draw_catalog(N_ITEMS, np.random.default_rng(0))
    bought = draw_purchases(catalog, N_USERS, 9 * N_USERS, market=Market(), rng=np.random.default_rng(1))
    dates = draw_dates(catalog, bought, N_USERS, np.random.default_rng(2))
    offers = draw_offers(catalog, dates.launches, np.full(N_ITEMS, END - DAY), np.random.default_rng(3))
    table = offers.with_columns(kind=pl.Series(catalog.column("kind")))
    return table, pl.DataFrame({"user": bought.users, "item": bought.items, "timestamp": dates.purchases})


def drawn(catalog_and_purchases, seed=4):
    catalog, purchases = catalog_and_purchases
    return draw_events(purchases, catalog, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def log(catalog_and_purchases):
    return drawn(catalog_and_purchases)


def of(log, event):
    return log.filter(event=EVENTS.index(event))


def test_the_first_purchases_are_the_given_ones(log, catalog_and_purchases):
    first = of(log, "purchase").group_by(KEY).agg(pl.col("timestamp").min()).sort(KEY)
    assert first.equals(catalog_and_purchases[1].sort(KEY))


def test_there_are_several_times_as_many_events_as_purchases(log, catalog_and_purchases):
    ratio = len(log) / len(catalog_and_purchases[1])
    assert 5 < ratio < 10
    counts = [len(of(log, event)) for event in EVENTS]
    assert counts[0] > counts[1] > 0.7 * counts[2] > counts[3] > 0


def test_every_purchase_has_a_view_within_the_hour_before(log):
    views = of(log, "view").select(*KEY, "timestamp", seen="timestamp").sort("timestamp")
    bought = of(log, "purchase").with_columns(pl.col("timestamp") - 1).sort("timestamp")
    joined = bought.join_asof(views, on="timestamp", by=KEY, check_sortedness=False)
    assert joined["seen"].null_count() == 0
    assert (joined["timestamp"] - joined["seen"]).max() < 3600


def test_a_cart_is_preceded_by_a_view(log):
    first = {event: of(log, event).group_by(KEY).agg(pl.col("timestamp").min()) for event in ("view", "cart")}
    joined = first["cart"].join(first["view"], on=KEY, how="left", suffix="_of_view")
    assert (joined["timestamp"] > joined["timestamp_of_view"]).all()


def test_some_items_are_bought_again_a_week_later_or_more(log):
    bought = of(log, "purchase").sort(*KEY, "timestamp").group_by(KEY, maintain_order=True).agg("timestamp")
    again = bought.filter(pl.col("timestamp").list.len() > 1)
    assert 0.05 < len(again) / len(bought) < 0.25
    assert again["timestamp"].list.len().max() == 2
    assert again["timestamp"].list.diff().list.last().min() >= 7 * DAY


def test_items_are_bought_again_at_a_visit_of_the_same_user(log, catalog_and_purchases):
    given = catalog_and_purchases[1].select("user", "timestamp", visit="timestamp").sort("timestamp")
    again = of(log, "purchase").join(catalog_and_purchases[1], on=[*KEY, "timestamp"], how="anti").sort("timestamp")
    joined = again.join_asof(given, on="timestamp", by="user", check_sortedness=False)
    assert len(again) > 100
    assert joined["visit"].null_count() == 0
    assert (joined["timestamp"] - joined["visit"]).max() < 600


def test_returns_bring_a_whole_purchase_back_within_the_month_for_what_was_paid(log):
    returned = of(log, "return").with_row_index("row")
    bought = of(log, "purchase").select(*KEY, "quantity", "price", bought="timestamp")
    joined = returned.join(bought, on=[*KEY, "quantity", "price"])
    days = (joined["timestamp"] - joined["bought"]) / DAY
    fits = joined.filter((days >= 2) & (days <= 30))
    assert fits["row"].n_unique() == len(returned)
    assert 0.05 < len(returned) / len(bought) < 0.09


def test_nothing_happens_outside_the_two_years_or_before_the_launch(log, catalog_and_purchases):
    assert log["timestamp"].min() >= START
    assert log["timestamp"].max() < END
    launched = catalog_and_purchases[0]["launched"].dt.epoch("s").gather(log["item"])
    assert (log["timestamp"] >= launched).all()


def test_prices_are_those_of_the_catalog_or_a_fifth_less_for_whole_weeks(log, catalog_and_purchases):
    prices = catalog_and_purchases[0]["price"].gather(log["item"])
    ratios = (log["price"] / prices).to_numpy()
    reduced = np.abs(ratios - 0.8) < 0.01
    assert (reduced | (ratios == 1)).all()
    assert 0.05 < reduced.mean() < 0.11
    shown = log.filter(pl.col("event") != EVENTS.index("return"))
    weeks = shown.group_by("item", (pl.col("timestamp") - START) // (7 * DAY)).agg(pl.col("price").n_unique())
    assert weeks["price"].max() == 1


def test_rows_are_ordered_by_time_and_quantities_are_counts(log):
    assert log.select("timestamp", "user", "item", "event").equals(
        log.select("timestamp", "user", "item", "event").sort("timestamp", "user", "item", "event")
    )
    assert log["quantity"].min() == 1
    assert 1.1 < of(log, "purchase")["quantity"].mean() < 1.3  # 1 / (1 - 0.15) is 1.18
    assert log.null_count().sum_horizontal().item() == 0


def test_the_same_seed_gives_the_same_log(log, catalog_and_purchases):
    assert drawn(catalog_and_purchases).equals(log)
    assert not drawn(catalog_and_purchases, seed=5).equals(log)


def test_nothing_is_bought_again_or_returned_if_the_probabilities_are_zero(catalog_and_purchases, monkeypatch):
    monkeypatch.setattr(events, "Shopping", lambda: Shopping(repeated=0.0, returned=0.0))
    log = drawn(catalog_and_purchases)
    assert len(of(log, "purchase")) == len(catalog_and_purchases[1])
    assert len(of(log, "return")) == 0
