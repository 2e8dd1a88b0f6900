"""Frames of a data set hold what it holds, and make it again."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.frames.writing import item_table
from flatrec.data.interactions import Interactions
from flatrec.data.shop import ShopSettings, generate
from flatrec.data.vocabulary import Vocabulary

DAY = 86_400


@pytest.fixture
def dataset():
    return Dataset(
        "own",
        Interactions(
            np.array([0, 1, 0]),
            np.array([1, 0, 0]),
            np.array([2, 0, 0]),
            2,
            2,
            timestamps=np.array([3 * DAY, 5, 2 * DAY]),
            weights=np.array([0.5, 1.0, 2.0]),
        ),
        Vocabulary("user", ["ann", "bob"]),
        Vocabulary("item", ["mug", "lamp"]),
        {"text": Features(np.array([[0.0, 0.0], [1.0, 2.0]], dtype=np.float32), np.array([False, True]))},
        titles=("A mug", "A lamp"),
    )


def test_the_frame_has_the_original_ids(dataset):
    frame = dataset.to_frame()
    assert frame.schema == {
        "user": pl.String, "item": pl.String, "timestamp": pl.Int64, "weight": pl.Float32, "split": pl.String
    }  # fmt: skip
    assert frame.rows() == [
        ("ann", "lamp", 3 * DAY, 0.5, "test"),
        ("bob", "mug", 5, 1.0, "train"),
        ("ann", "mug", 2 * DAY, 2.0, "train"),
    ]


def test_items_and_features_are_frames_too(dataset):
    assert dataset.items_frame().rows() == [("mug", "A mug"), ("lamp", "A lamp")]
    assert dataset.features_frame("text").rows() == [("lamp", [1.0, 2.0])]
    with pytest.raises(ValueError, match="^own has no features 'audio'; it has text$"):
        dataset.features_frame("audio")


def test_frames_make_the_same_data_set_again():
    shop = generate(ShopSettings(users=40, items=20, images=False)).dataset
    features = {modality: shop.features_frame(modality) for modality in shop.features}
    again = Dataset.from_frames(shop.to_frame().select("user", "item", "split"), shop.items_frame(), features)
    bare = replace(shop.interactions, timestamps=None, weights=None)
    assert again.fingerprint == shop.with_interactions(bare).fingerprint
    assert again.titles == shop.titles
    rows = [one.to_frame().select("user", "item", "split").sort("user", "item") for one in (shop, again)]
    assert rows[0].equals(rows[1])


def test_times_and_weights_come_back_too(dataset):
    first = Dataset.from_frames(dataset.to_frame(), features={"text": dataset.features_frame("text")})
    assert first.to_frame().sort("user", "item").rows() == dataset.to_frame().sort("user", "item").rows()
    again = Dataset.from_frames(first.to_frame(), features={"text": first.features_frame("text")})
    assert again.fingerprint == first.fingerprint  # the indices are in the order of the ids now


def test_a_data_set_is_shown_in_one_line(dataset):
    assert repr(dataset) == (
        "Dataset own: 2 users, 2 items, 3 interactions (train 2, valid 0, test 1), features text (2), from 1970-01-01, "
        "to 1970-01-04"
    )


def test_a_data_set_travels_to_another_process(dataset):
    there = pickle.loads(pickle.dumps(dataset))
    assert there.fingerprint == dataset.fingerprint
    assert (there.titles, there.name) == (dataset.titles, "own")
    with pytest.raises(TypeError):
        there.features["other"] = there.features["text"]


def test_images_are_found_from_any_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    table = item_table(["a", "b"], None, [Path("images/a.png"), None], None)
    assert table["image"].to_list() == [str(tmp_path / "images/a.png"), None]
