"""Re-ranking by names of items and conditions on columns, from settings to lists."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from flatrec.config.base import SettingError
from flatrec.data.features import Features
from flatrec.data.vocabulary import Vocabulary
from flatrec.evaluation import rank
from flatrec.inference.catalog import Catalog
from flatrec.inference.rerank import Rerank, Reranker, merged, pin_note
from flatrec.models.scoring import ItemScores, Vectors

IDS = ["mug", "cup", "pot", "lamp", "bulb", "gift"]
SCORES = torch.tensor([[6.0, 5, 4, 3, 2, 1]])


def catalog():
    values = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], dtype=np.float32)
    present = np.array([1, 1, 1, 1, 1, 0], dtype=bool)
    return Catalog(
        ids=Vocabulary("item", IDS),
        popularity=np.ones(6),
        new=np.array([0, 0, 0, 0, 1, 0], dtype=bool),
        columns=pl.DataFrame({"room": ["kitchen"] * 3 + ["hall"] * 2 + [None], "price": [9.0, 8, 20, 40, 5, np.nan]}),
        features={"text": Features(values, present)},
    )


def lists(settings, k=3, *, seen=(), allowed=None, scoring=None):
    reranker = Reranker.of(settings, catalog(), scoring or ItemScores(SCORES[0], 1))
    excluded = sparse.csr_array((np.ones(len(seen)), (np.zeros(len(seen), int), list(seen))), shape=(1, 6))

    def best(n, selected):
        masks = [mask for mask in (allowed, selected) if mask is not None]
        mask = torch.stack(masks).all(dim=0) if masks else None
        return rank(lambda _: SCORES, torch.tensor([0]), n, excluded, allowed=mask)

    listed = [IDS[item] for item in reranker.lists(best, k).items[0].tolist() if item >= 0]
    return " ".join(listed), pin_note(settings, listed, k)


def test_nothing_set_changes_nothing():
    assert lists(Rerank()) == ("mug cup pot", "")


def test_limits_by_column_leave_items_without_a_value_alone():
    assert lists(Rerank(max_per={"room": 1}), 6)[0] == "mug lamp gift"
    assert lists(Rerank(max_per={"room": 2}), 6)[0] == "mug cup lamp bulb gift"
    assert lists(Rerank(max_per={"new": 1, "room": 2}), 6)[0] == "mug bulb"


def test_reserved_items_need_not_be_in_the_pool():
    assert lists(Rerank(reserve={"new = true": 1}, pool=1))[0] == "mug cup bulb"
    assert lists(Rerank(reserve={"new = true": 1, "price > 30": 1}, pool=1))[0] == "mug lamp bulb"


def test_limits_do_not_keep_a_reserve_from_items_further_down():
    assert lists(Rerank(reserve={"price < 10": 2}, max_per={"room": 1}, pool=3))[0] == "mug bulb"


def test_reserved_items_obey_the_filters():
    assert lists(Rerank(reserve={"new = true": 1}), seen=[4])[0] == "mug cup pot"


def test_boosts_move_what_a_condition_selects():
    assert lists(Rerank(boosts={"price > 30": 10}))[0] == "lamp mug cup"
    assert lists(Rerank(boosts={'room = "kitchen"': -10}))[0] == "lamp bulb gift"
    assert lists(Rerank(boosts={"price > 30": 10}, pool=3))[0] == "mug cup pot"  # it is not in the pool


def test_pins_come_first_or_at_their_ranks_and_need_not_be_in_the_pool():
    assert lists(Rerank(pins=["gift", "bulb"], pool=1)) == ("gift bulb mug", "")
    assert lists(Rerank(pins={"gift": 2}, pool=1)) == ("mug gift cup", "")


def test_a_pin_that_is_excluded_or_unknown_is_left_out_with_a_note():
    expected = ("mug cup pot", "pins that the filters exclude, or that are not known, are left out: gift, vase")
    assert lists(Rerank(pins=["gift", "vase"]), seen=[5]) == expected
    allowed = torch.tensor([True] * 5 + [False])
    assert lists(Rerank(pins=["gift", "vase"]), allowed=allowed) == expected


def test_more_pins_than_slots_need_no_note():
    assert lists(Rerank(pins=["gift", "bulb", "lamp"]), 2) == ("gift bulb", "")
    assert lists(Rerank(pins={"gift": 9}), 2) == ("mug cup", "")


def test_diversity_by_item_vectors_and_by_a_modality():
    vectors = Vectors(torch.ones(1, 2), torch.tensor([[1.0, 0], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1]]))
    assert lists(Rerank(diversity=0.9), 2, scoring=vectors)[0] == "mug cup"
    assert lists(Rerank(diversity=0.9, modality="text"), 3)[0] == "mug lamp gift"  # gift has no text: unlike all


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Rerank(diversity=0.5), r"compare them by a modality \(modality=...: text\)"),
        (Rerank(diversity=0.5, modality="image"), r"features \(text\), but is 'image'"),
        (Rerank(max_per={"colour": 1}), "'colour', but the columns are item, room, price, new"),
        (Rerank(reserve={"color = 1": 1}), "color"),
        (Rerank(boosts={"price >": 1}), "price >|position"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        lists(settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "values",
    [{"diversity": 1.1}, {"max_per": {"room": 0}}, {"pins": ["a", "a"]}, {"pins": {"a": 1, "b": 1}}, {"pins": "mug"}],
)
def test_settings_are_checked(values):
    with pytest.raises(SettingError):
        Rerank(**values)


@given(st.integers(0, 10**6))
def test_merged_rankings_equal_the_union(seed):
    generator = np.random.default_rng(seed)
    scores = torch.from_numpy(generator.integers(0, 4, size=(3, 9))).float()
    nothing = sparse.csr_array((3, 9))
    masks = [torch.from_numpy(generator.random(9) < 0.5) for _ in range(2)]
    rankings = [
        rank(lambda block: scores[block], torch.arange(3), n, nothing, allowed=mask)
        for n, mask in zip((2, 4), masks, strict=True)
    ]
    union = merged(rankings)
    for row in range(3):
        expected = {item for one in rankings for item in one.items[row].tolist() if item >= 0}
        order = sorted(expected, key=lambda item: (-float(scores[row, item]), item))
        listed = union.items[row].tolist()
        assert listed == order + [-1] * (len(listed) - len(order))
        assert union.scores[row, : len(order)].tolist() == [float(scores[row, item]) for item in order]
