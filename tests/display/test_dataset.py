"""A data set in a notebook."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.display.dataset import N_ITEMS
from flatrec.testing import block_dataset, tiny_dataset
from tests.display.pages import HOSTILE, addresses, checked, rows, words


class Watched(tuple):
    """Values that count how many of them are read, and that nobody can go through."""

    __slots__ = ()
    read = []

    def __getitem__(self, place):
        assert isinstance(place, int)
        self.read.append(place)
        return super().__getitem__(place)

    def __iter__(self):
        raise AssertionError("all values were read")

    def index(self, *_):
        raise AssertionError("all values were read")

    count = index


@pytest.fixture
def shop(tmp_path):
    """Two items of which one has an image, and one an image that is gone."""
    Image.new("RGB", (40, 40), "blue").save(tmp_path / "mug.png")
    interactions = Interactions(np.array([0, 1]), np.array([0, 1]), np.array([0, 2]), 2, 2)
    return Dataset(
        "own",
        interactions,
        Vocabulary("user", ["ann", "bob"]),
        Vocabulary("item", ["mug", "lamp"]),
        titles=("A <b>mug</b>", ""),
        images=(tmp_path / "mug.png", tmp_path / "gone.png"),
    )


def test_figures_and_items_are_shown(shop):
    tree = checked(shop._repr_html_())
    assert rows(tree) == [
        ["users", "2"],
        ["items", "2"],
        ["interactions", "2"],
        ["train", "1"],
        ["valid", "0"],
        ["test", "1"],
        ["titles", "yes"],
        ["images", "yes"],
    ]
    assert words(tree).startswith("Dataset own")
    assert "2 of 2 items A A <b>mug</b> mug" not in words(tree)  # no letter beside an image
    assert words(tree).endswith("2 of 2 items A <b>mug</b> mug L lamp")
    assert len(addresses(tree)) == 1


def test_a_data_set_without_titles_and_images_is_shown_by_its_ids():
    tree = checked(tiny_dataset()._repr_html_())
    assert addresses(tree) == []
    assert ["titles", "no"] in rows(tree)
    assert tiny_dataset().items[0] in words(tree)
    assert any(row[0] == "features" for row in rows(checked(block_dataset()._repr_html_())))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_stay_words(shop, hostile):
    bad = replace(
        shop, name=hostile, titles=(hostile, hostile), items=Vocabulary("item", ["mug", hostile or "-"]), images=None
    )
    tree = checked(bad._repr_html_())
    assert len(rows(tree)) == 8
    assert len(bad._repr_html_()) < 20_000


def test_of_a_million_items_a_few_are_read_and_no_file_is_looked_for(monkeypatch):
    n_items = 1_000_000
    interactions = Interactions(np.array([0, 0, 0]), np.array([0, 1, 999_999]), np.array([0, 1, 2]), 1, n_items)
    items = Vocabulary("item", [f"item {number}" for number in range(n_items)])
    titles, images = Watched([f"Title {number}" for number in range(n_items)]), Watched([Path("gone.png")] * n_items)
    dataset = Dataset("large", interactions, Vocabulary("user", ["ann"]), items, titles=titles, images=images)
    asked = []
    monkeypatch.setattr(Path, "stat", lambda path, **_: asked.append(path) or (_ for _ in ()).throw(OSError))
    monkeypatch.setattr(Vocabulary, "__iter__", lambda _: pytest.fail("all ids were read"))
    Watched.read.clear()
    tree = checked(dataset._repr_html_())
    assert len(asked) <= N_ITEMS
    assert len(Watched.read) <= 2 * N_ITEMS
    assert "8 of 1,000,000 items" in words(tree)
    assert "Title 875000" in words(tree)
    assert ["items", "1,000,000"] in rows(tree)
