"""Recommendations in a notebook."""

from __future__ import annotations

import copy
import json
import pickle
import re
from importlib.resources import files

import pytest
from PIL import Image

import flatrec
from flatrec.display import lists as module
from flatrec.display.lists import N_ITEMS, N_LISTS, lists_html
from flatrec.inference.answers import ItemList, ItemLists, Reason, Recommendation
from flatrec.testing import block_dataset
from tests.display.pages import HOSTILE, addresses, checked, words


@pytest.fixture(scope="module")
def run():
    return flatrec.fit(block_dataset(), "item-knn")


def test_what_is_recommended_is_a_list_that_notebooks_show(run):
    users = list(run.dataset.users)[:2]
    for found in (run.recommend(users, 3), run.recommender.recommend(users, 3), run.recommender.similar("item 0", 3)):
        assert isinstance(found, list)
        assert found == list(found) == copy.copy(found) == pickle.loads(pickle.dumps(found))
        assert [one.user for one in found] == [found[place].user for place in range(len(found))]
        assert [*found, *found] == found + found
        assert all(one.items[0].item in words(checked(found._repr_html_())) for one in found)
    ids = [[one.item for one in items] for items in run.recommend(users, 3)]
    assert json.loads(json.dumps(ids)) == ids
    assert repr(run.recommend(users, 3)).startswith("[ItemList(items=(Recommendation(item=")


def test_a_list_is_shown_with_the_reasons_of_the_recommender(run):
    (found,) = run.recommender.recommend(None, k=3, history=["item 0", "item 1"], explain=True)
    tree = checked(found._repr_html_())
    assert found[0].reasons
    assert words(tree).count("because of") == sum(bool(one.reasons) for one in found)
    first = next(node for node in tree.iter("span") if node.text == "because of ")
    assert first.get("title").split("; ") == [f"{one.item} (exact {one.contribution:.3f})" for one in found[0].reasons]
    assert f"1. score {found[0].score:.3g}" in words(tree)
    assert module.PATHS["history"] in words(tree)


def test_reasons_that_speak_against_an_item_are_not_named():
    against = Recommendation("mug", 1.0, reasons=(Reason("lamp", -0.5, "exact"),))
    assert "because" not in ItemList((against,), "known", "ann")._repr_html_()


def test_a_list_says_how_it_came_about_as_the_page_of_the_service_does():
    script = files("flatrec.serve").joinpath("page", "cards.js").read_text(encoding="utf-8")
    for name, said in (("PATHS", module.PATHS), ("SIMILAR_PATHS", module.SIMILAR_PATHS)):
        (block,) = re.findall(rf"const {name} = \{{(.*?)\}};", script, flags=re.DOTALL)
        assert dict(re.findall(r'"?([\w-]+)"?: "(.*?)",', block)) == said
    assert module.PATHS["popular"] in words(checked(ItemList((), "popular", None, "no item is left")._repr_html_()))
    assert module.SIMILAR_PATHS["known"] in ItemList((), "known")._repr_html_()
    assert module.PATHS["known"] in ItemList((), "known", "ann")._repr_html_()


def test_an_empty_answer_is_an_empty_page():
    assert words(checked(ItemLists()._repr_html_())) == ""


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_stay_words(hostile):
    reasons = tuple(Reason(hostile, 0.5, "similarity", title) for title in (hostile, None))
    items = tuple(
        Recommendation(hostile, 1.0, title, None, new, reasons) for title, new in ((hostile, True), (None, False))
    )
    page = ItemLists([ItemList(items, "history", hostile, hostile)])._repr_html_()
    tree = checked(page)
    assert len(page) < 20_000
    assert "2. score 1" in words(tree)


def test_images_are_inside_and_blank_where_they_are_missing(tmp_path):
    Image.new("RGB", (40, 40), "blue").save(tmp_path / "mug.png")
    paths = (tmp_path / "mug.png", tmp_path / "gone.png", None)
    tree = checked(ItemList(tuple(Recommendation("mug", 1.0, image=path) for path in paths), "known")._repr_html_())
    assert len(addresses(tree)) == 1
    assert len([node for node in tree.iter("div") if node.get("aria-hidden")]) == 2


def test_of_many_long_lists_the_beginnings_are_shown(tmp_path):
    Image.new("RGB", (40, 40), "blue").save(tmp_path / "mug.png")
    long = ItemList(tuple(Recommendation(f"item {n}", 1.0, image=tmp_path / "mug.png") for n in range(100)), "known")
    page = lists_html(ItemLists([long] * 1000))
    tree = checked(page)
    assert f"and {1000 - N_LISTS} more lists" in words(tree)
    assert words(tree).count(f"and {100 - N_ITEMS} more items") == N_LISTS
    assert len(addresses(tree)) == 60
    assert len(page) < 1_000_000
