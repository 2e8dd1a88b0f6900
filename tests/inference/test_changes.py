"""What differs between the data of a recommender and the data now."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flatrec.inference.changes import DataChange, count_trained
from tests.inference.shops import AFTER, BEFORE, TRAIN, dataset, recommender


def test_what_came_and_went_is_counted():
    # Both have (ann, cup) and (cat, pan); of seven and five interactions, five are new and three are gone.
    change = DataChange.between(recommender(), AFTER)
    assert change == DataChange(1, 1, 1, 1, 5, 3)
    assert change.sentence() == ("1 user and 1 item and 5 interactions new, 1 user and 1 item and 3 interactions gone")


def test_the_same_interactions_may_still_be_other_data():
    change = DataChange.between(recommender(), BEFORE)
    assert change == DataChange(0, 0, 0, 0, 0, 0)
    assert change.sentence() == "the same interactions, with another split, other times, weights or features"


def test_items_that_joined_after_training_are_not_gone():
    one = recommender()
    joined = replace(one, catalog=replace(one.catalog, new=np.array([False, False, False, True])))
    assert DataChange.between(joined, dataset(["ann"], ["cup", "jug", "mug"], [("ann", "cup", TRAIN)])).gone_items == 0
    assert DataChange.between(one, dataset(["ann"], ["cup", "jug", "mug"], [("ann", "cup", TRAIN)])).gone_items == 1


def test_interactions_that_were_trained_on_are_counted():
    now = dataset(["bob", "ann"], ["mug", "cup", "bowl"], [("ann", "cup", 2), ("bob", "mug", 2), ("bob", "cup", 2)])
    assert count_trained(recommender(), now, "test") == 2
    assert count_trained(recommender(), AFTER, "test") == 0
    assert count_trained(recommender(), AFTER, "train") == 1
