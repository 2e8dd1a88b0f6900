"""New texts of items."""

from __future__ import annotations

import pytest

from flatrec.content.llm.augment import KEPT, Prompts, augment
from flatrec.content.llm.endpoint import NO_ANSWER, NOTHING_TO_ASK
from flatrec.content.llm.prompts import CAPTION
from tests.content.llm.conftest import png


@pytest.fixture
def images(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "c.png").write_bytes(png(5, 5, 5))
    (tmp_path / "d.png").write_bytes(b"broken")
    return {item: tmp_path / f"{item}.png" for item in "acd"} | {"b": None, "e": tmp_path / "gone.png"}


def test_each_item_is_asked_what_it_has(server, asking, images):
    texts = {"a": "pram", "b": " cot ", "c": None, "d": "cup", "e": "", "f": "hat"}
    made = augment(texts, images, asking())
    sent = {request.prompt: request.image is not None for request in server.requests}
    assert sent == {
        Prompts().with_image.replace("{text}", "pram"): True,
        Prompts().without.replace("{text}", "cot"): False,
        CAPTION: True,
        Prompts().without.replace("{text}", "cup"): False,
        Prompts().without.replace("{text}", "hat"): False,
    }
    assert list(made.texts) == list("abcdef")
    assert made.texts["a"].startswith("seen: ")
    assert made.texts["b"].startswith("read: ")
    assert made.texts["e"] == ""
    assert made.remarks == {
        "b": ("no image",),
        "d": ("broken image",),
        "e": ("no image", NOTHING_TO_ASK),
        "f": ("no image",),
    }


def test_a_text_without_a_usable_answer_stays_and_that_is_said(server, asking):
    server.misbehave = lambda prompt, _before: "length" if "cot" in prompt else "500" if "hat" in prompt else None
    texts = {"a": "pram", "b": "cot", "c": "hat"}
    made = augment(texts, {}, asking(tries=1))
    assert made.texts["a"] != "pram"
    assert {item: made.texts[item] for item in "bc"} == {"b": "cot", "c": "hat"}
    assert made.remarks == {"b": ("answer cut off", KEPT), "c": (NO_ANSWER, KEPT)}


def test_other_prompts_are_used(server, asking, images):
    augment({"a": "pram", "b": "cot"}, images, asking(), Prompts("P {text}!", "W {text}?"))
    assert sorted(request.prompt for request in server.requests) == ["P pram!", "W cot?"]


def test_a_prompt_must_say_where_the_text_goes():
    with pytest.raises(ValueError, match=r"must hold \{text\}"):
        Prompts("no place")
