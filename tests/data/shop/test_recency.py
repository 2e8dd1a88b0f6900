"""The dates of the shop carry information: what sold lately says what sells next, and the future is hard to know."""

import numpy as np
import pytest

from flatrec.config.split import SplitSettings
from flatrec.data.shop import ShopSettings, generate
from flatrec.data.shop.timeline import DAY, START

MONTHS = range(12, 24)


@pytest.fixture(scope="module")
def dataset():
    return generate(ShopSettings(images=False)).dataset


def ranks(counts):
    return np.argsort(np.argsort(counts, kind="stable"))


def test_recent_popularity_predicts_the_next_month_better_than_that_of_all_time(dataset):
    items, times = dataset.interactions.items, dataset.interactions.timestamps
    fits = {"all": [], "recent": []}
    for month in MONTHS:
        cut = START + month * 30 * DAY
        sold = np.bincount(items[(times >= cut) & (times < cut + 30 * DAY)], minlength=dataset.n_items)
        for name, begin in (("all", START), ("recent", cut - 90 * DAY)):
            counts = np.bincount(items[(times >= begin) & (times < cut)], minlength=dataset.n_items)
            fits[name].append(np.corrcoef(ranks(counts), ranks(sold))[0, 1])
    assert np.mean(fits["recent"]) > 1.5 * np.mean(fits["all"])
    assert np.mean(np.array(fits["recent"]) > np.array(fits["all"])) > 0.8


def test_a_split_in_time_has_unknown_users_and_items_and_many_known_ones(dataset):
    interactions = dataset.split_again(SplitSettings(method="time")).interactions
    scored = len(np.unique(interactions.indices("test")[0]))
    assert 0.05 < len(interactions.users_without_training("test")) / scored < 0.4
    assert (interactions.item_counts("test")[interactions.item_counts("train") == 0] > 0).sum() >= 5
    assert scored > 300


def test_popular_items_of_the_past_are_bought_less_after_a_cut_in_time_than_in_a_random_split(dataset):
    hits = {}
    for method in ("random", "time"):
        interactions = dataset.split_again(SplitSettings(method=method)).interactions
        top = np.argsort(-interactions.item_counts("train"), kind="stable")[:50]
        hits[method] = np.isin(interactions.indices("test")[1], top).mean()
    assert hits["time"] < 0.8 * hits["random"]
