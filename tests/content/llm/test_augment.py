"""New texts of items."""

from __future__ import annotations

import pytest

from flatrec.content import CaptionColumns, Destination, Endpoint, ItemSource, adjust_items, augment_items
from flatrec.content.llm.augment import KEPT, AugmentPrompts, augment_texts, protect_new_texts
from flatrec.content.llm.chat_client import NO_INPUT, NO_RESPONSE
from flatrec.content.llm.prompts import CAPTION
from flatrec.data.items import read_items
from tests.content.llm.conftest import png


@pytest.fixture
def images(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "c.png").write_bytes(png(5, 5, 5))
    (tmp_path / "d.png").write_bytes(b"broken")
    return {item: tmp_path / f"{item}.png" for item in "acd"} | {"b": None, "e": tmp_path / "gone.png"}


def test_each_item_is_asked_what_it_has(server, make_runner, images):
    texts = {"a": "pram", "b": " cot ", "c": None, "d": "cup", "e": "", "f": "hat"}
    made = augment_texts(texts, images, make_runner())
    sent = {request.prompt: request.image is not None for request in server.requests}
    assert sent == {
        AugmentPrompts().with_image.replace("{text}", "pram"): True,
        AugmentPrompts().text_only.replace("{text}", "cot"): False,
        CAPTION: True,
        AugmentPrompts().text_only.replace("{text}", "cup"): False,
        AugmentPrompts().text_only.replace("{text}", "hat"): False,
    }
    assert list(made.texts) == list("abcdef")
    assert made.texts["a"].startswith("seen: ")
    assert made.texts["b"].startswith("read: ")
    assert made.texts["e"] == ""
    assert made.warnings == {
        "b": ("no image",),
        "d": ("broken image",),
        "e": ("no image", NO_INPUT),
        "f": ("no image",),
    }


def test_a_text_without_a_usable_answer_stays_and_that_is_said(server, make_runner):
    server.misbehave = lambda prompt, _before: "length" if "cot" in prompt else "500" if "hat" in prompt else None
    texts = {"a": "pram", "b": "cot", "c": "hat"}
    made = augment_texts(texts, {}, make_runner(max_retries=0))
    assert made.texts["a"] != "pram"
    assert {item: made.texts[item] for item in "bc"} == {"b": "cot", "c": "hat"}
    assert made.warnings == {"b": ("response cut off", KEPT), "c": (NO_RESPONSE, KEPT)}


def test_other_prompts_are_used(server, make_runner, images):
    augment_texts({"a": "pram", "b": "cot"}, images, make_runner(), AugmentPrompts("P {text}!", "W {text}?"))
    assert sorted(request.prompt for request in server.requests) == ["P pram!", "W cot?"]


def test_a_prompt_must_say_where_the_text_goes():
    with pytest.raises(ValueError, match=r"must hold \{text\}"):
        AugmentPrompts("no place")


def test_a_new_text_is_no_formula_and_a_kept_one_stays_as_it_was():
    old = {"1": "a shoe", "2": "-old", "3": None, "4": "x"}
    new = {"1": '=HYPERLINK("http://x")', "2": "-old", "3": None, "4": "-0.5"}
    assert protect_new_texts(new, old) == {"1": '\'=HYPERLINK("http://x")', "2": "-old", "3": None, "4": "-0.5"}


def test_one_call_writes_the_table_and_another_edits_its_items(server, tmp_path, monkeypatch):
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "items.csv").write_text("id,text\na,pram\nb,cot\n")
    (tmp_path / "a.png").write_bytes(png())
    source = ItemSource(path=tmp_path / "items.csv", image_dir=tmp_path)
    endpoint = Endpoint(url=server.url, model="m", max_retries=0, prompt_price=1e5)
    result = augment_items(source, Destination(tmp_path / "new.csv", "better"), endpoint)
    assert (result.usage.requests, result.cost) == (2, 2.0)
    assert read_items(tmp_path / "new.csv").column("better") == dict(result.texts)
    captions = CaptionColumns("better")
    adjusted = adjust_items(
        ItemSource(path=tmp_path / "new.csv", image_dir=tmp_path), tmp_path / "out", captions, probability=1.0
    )
    assert adjusted.items == ("a", "b")
    assert read_items(adjusted.table).column("adjusted_text") == dict(result.texts)
