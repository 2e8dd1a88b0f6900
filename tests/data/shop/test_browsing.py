import numpy as np
import polars as pl

from flatrec.data.shop import browsing
from flatrec.data.shop.browsing import earlier_views, views_of_others
from flatrec.data.shop.timeline import DAY, START

LATER = START + 100 * DAY
# Five purchases on consecutive days; items 0 and 1 are of kind 0, items 2 and 3 of kind 1.
BOUGHT = pl.DataFrame(
    {
        "user": [0, 1, 2, 3, 4],
        "item": [0, 2, 1, 3, 0],
        "timestamp": [LATER + day * DAY for day in range(5)],
        "quantity": [1, 2, 1, 1, 3],
    },
    schema={"user": pl.Int32, "item": pl.Int32, "timestamp": pl.Int64, "quantity": pl.Int64},
)
KINDS = np.array([0, 0, 1, 1])


def browsed(monkeypatch, like):
    monkeypatch.setattr(browsing, "LIKE", like)
    monkeypatch.setattr(browsing, "BACK", 1.0)  # what was bought just before
    return views_of_others(BOUGHT, KINDS, 20.0, np.random.default_rng(0))


def test_users_view_what_others_bought_just_before(monkeypatch):
    views = browsed(monkeypatch, like=0.0)
    pairs = set(zip(views["user"], views["item"], strict=True))
    assert pairs == {(1, 0), (2, 2), (3, 1), (4, 3)}  # nothing was bought before the first purchase


def test_users_view_what_others_bought_of_the_same_kind(monkeypatch):
    views = browsed(monkeypatch, like=1.0)
    pairs = set(zip(views["user"], views["item"], strict=True))
    assert pairs == {(2, 0), (3, 2), (4, 1)}


def test_other_items_are_viewed_shortly_before_the_purchase(monkeypatch):
    views = browsed(monkeypatch, like=0.0)
    bought = LATER + views["user"].to_numpy() * DAY
    before = bought - views["timestamp"].to_numpy()
    assert 10 <= before.min() < before.max() < browsing.NEARBY
    assert views["quantity"].unique().to_list() == [1]


def test_earlier_views_are_before_the_purchase_and_after_the_launch():
    launches = np.array([LATER - 2 * DAY, START - 900 * DAY, LATER, START])
    views = earlier_views(BOUGHT, launches, 200.0, np.random.default_rng(0))
    bought = LATER + views["user"].to_numpy() * DAY
    before = (bought - views["timestamp"].to_numpy()) / DAY
    assert before.min() > 0
    assert (views["timestamp"].to_numpy() >= launches[views["item"].to_numpy()]).all()
    unlimited = before[views["item"].to_numpy() == 1]
    assert 3.3 < unlimited.mean() < 4.7
