"""Which items are adjusted, and how."""

from __future__ import annotations

import time

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageFont

from flatrec.content.llm.adjust import draw_items
from flatrec.content.llm.captions import NO_CAPTION, Caption, generate_captions, read_captions, shorten
from flatrec.content.llm.item_editor import TEXT_ONLY, ItemEditor, read_adjustment
from flatrec.content.llm.prompts import CAPTION, SUMMARY
from flatrec.content.llm.text_overlay import NO_GLYPH, TextOverlay, _lines, default_font
from flatrec.data.items import read_items
from flatrec.utils.integrity import seal

IDS = [str(number) for number in range(20_000)]


def test_each_item_is_drawn_with_the_probability():
    for probability in (0.01, 0.03, 0.05):
        fraction = len(draw_items(IDS, probability, 7)) / len(IDS)
        assert abs(fraction - probability) < 4 * (probability * (1 - probability) / len(IDS)) ** 0.5
    assert draw_items(IDS, 0.0, 0) == []
    assert draw_items(IDS, 1.0, 0) == IDS


def test_the_draw_hangs_on_the_seed_alone_and_lower_levels_are_within_higher_ones():
    assert draw_items(IDS, 0.03, 1) == draw_items(IDS, 0.03, 1)
    assert set(draw_items(IDS, 0.03, 1)) != set(draw_items(IDS, 0.03, 2))
    assert set(draw_items(IDS, 0.01, 1)) < set(draw_items(IDS, 0.03, 1)) < set(draw_items(IDS, 0.05, 1))


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_a_probability_lies_between_zero_and_one(probability):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        draw_items(IDS, probability, 0)


@pytest.fixture
def images(tmp_path):
    for number in range(3):
        Image.new("RGB", (120, 160), (40 * number, 90, 20)).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"broken")
    return {str(number): tmp_path / f"{number}.png" for number in range(4)} | {"4": None}


def test_images_are_captioned_and_captions_summed_up(server, make_runner, images):
    server.answer = lambda prompt, _image: "A red pram" if prompt == CAPTION else f"short: {prompt[-8:]}"
    found = generate_captions(["0", "3", "4"], images, make_runner())
    assert found.captions == {"0": Caption("A red pram", "short: red pram")}
    assert found.warnings == {"3": ("neither text nor image", NO_CAPTION), "4": ("no image", NO_CAPTION)}
    assert found.usage.requests == 2
    assert server.requests[1].prompt == SUMMARY.replace("{text}", "A red pram")


def test_a_caption_without_a_summary_adjusts_nothing(server, make_runner, images):
    server.misbehave = lambda prompt, _before: None if prompt == CAPTION else "500"
    found = generate_captions(["0"], images, make_runner(max_retries=0))
    assert found.captions == {}
    assert found.missing.keys() == {"0"}


def test_captions_may_be_given():
    long = "one two three four five six seven eight nine ten eleven twelve thirteen"
    found = read_captions("abc", {"a": long, "b": None, "c": " cap "}, {"a": None, "b": "x", "c": "short"})
    assert found.captions == {"a": Caption(long, shorten(long)), "c": Caption("cap", "short")}
    assert shorten(long).endswith("twelve…")
    assert shorten("字" * 500) == "字" * 120 + "…"
    assert found.warnings == {"b": (NO_CAPTION,)}


@pytest.fixture
def editor(tmp_path, images):
    rows = [{"itemID": item, "text": f"text {item}"} for item in images]
    pl.DataFrame(rows).write_csv(tmp_path / "items.csv")
    table = read_items(tmp_path / "items.csv")
    return ItemEditor(table, table.column("text"), images)


def test_adjusted_items_get_caption_and_print_and_others_stay(editor, images, tmp_path):
    out = tmp_path / "out"
    captions = {"1": Caption("seen one", "one"), "3": Caption("seen three", "three")}
    warnings = editor.write(out, captions, TextOverlay(default_font()))
    assert warnings == {"3": (TEXT_ONLY,)}
    table = read_items(out / "items.csv")
    assert table.column("adjusted_text") == {
        "0": "text 0", "1": "seen one", "2": "text 2", "3": "seen three", "4": "text 4",
    }  # fmt: skip
    assert table.column("text") == {item: f"text {item}" for item in images}
    places = table.column("adjusted_image")
    assert {item: (out / name).resolve() if name else None for item, name in places.items() if item != "1"} == {
        item: path for item, path in images.items() if item != "1"
    }
    before, after = (np.asarray(Image.open(path)) for path in (images["1"], out / places["1"]))
    assert before.shape == after.shape
    changed = (before != after).any(axis=(1, 2))
    assert not changed[:130].any()
    assert changed[-10:].all()


def test_writing_again_leaves_no_image_of_before(editor, tmp_path):
    printer = TextOverlay(default_font())
    editor.write(tmp_path / "out", {"0": Caption("a", "a"), "1": Caption("b", "b")}, printer)
    editor.write(tmp_path / "out", {"2": Caption("c", "c")}, printer)
    assert [path.name for path in (tmp_path / "out" / "adjusted_images").iterdir()] == ["2.png"]


def test_letters_that_the_font_lacks_are_remarked(editor, tmp_path):
    warnings = editor.write(tmp_path / "out", {"0": Caption("x", "赤い車")}, TextOverlay(default_font()))
    assert warnings == {"0": (NO_GLYPH,)}
    assert not TextOverlay(default_font()).has_missing_glyphs("Grüße, кот — 12 €")


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3), (16, 16), (2000, 1500)])
@pytest.mark.parametrize("text", ["", "word", "a red pram with a hood " * 20, "W" * 300])
def test_any_text_goes_on_any_image(size, text):
    image = Image.new("RGB", size, (10, 20, 30))
    drawn = TextOverlay(default_font()).draw(image, text)
    assert drawn.size == size
    assert image.getpixel((0, 0)) == (10, 20, 30)
    if size[1] > 300:
        assert drawn.getpixel((0, 0)) == (10, 20, 30)  # half of it stays as it was


def test_lines_are_no_wider_than_the_image_and_the_last_says_that_words_are_lacking():
    font = ImageFont.truetype(str(default_font()), 12)
    words = ["a", "red", "pram", "with", "a", "hood", "and", "a", "very-long-word-that-needs-breaking", "and", "more"]
    lines = _lines(words, font, 80, 3)
    assert len(lines) == 3
    assert all(font.getlength(line) <= 80 for line in lines)
    assert lines[-1].endswith("…")
    whole = _lines(words, font, 80, 99)
    assert "".join("".join(whole).split()) == "".join(words)


def test_a_text_without_blanks_takes_no_longer_than_another():
    image, printer = Image.new("RGB", (300, 300)), TextOverlay(default_font())
    start = time.monotonic()
    printer.draw(image, "字" * 20_000)
    assert time.monotonic() - start < 1


def test_ids_are_not_overwritten(tmp_path):
    pl.DataFrame({"adjusted_text": ["a", "b"], "text": ["x", "y"]}).write_csv(tmp_path / "items.csv")
    table = read_items(tmp_path / "items.csv", "adjusted_text")
    with pytest.raises(ValueError, match="the ids cannot be in the column 'adjusted_text'"):
        ItemEditor(table, table.column("text"), {}).check(tmp_path / "out", overwrite=True)


def test_a_font_that_is_none_is_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone.ttf does not exist"):
        TextOverlay(tmp_path / "gone.ttf")
    (tmp_path / "bad.ttf").write_bytes(b"no font")
    with pytest.raises(ValueError, match=r"bad.ttf is no font that can be read"):
        TextOverlay(tmp_path / "bad.ttf")


def test_which_items_were_adjusted_is_read_back_or_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="flatrec adjust"):
        read_adjustment(tmp_path)
    file = tmp_path / "adjustment.json"
    file.write_text(seal({"probability": 0.03, "seed": 2, "items": ["a", 7]}))
    assert vars(read_adjustment(tmp_path)) == {"probability": 0.03, "seed": 2, "items": ("a", "7")}
    for facts in ({}, {"probability": "x", "seed": 0, "items": []}):
        file.write_text(seal(facts))
        with pytest.raises(ValueError, match="is not what flatrec adjust writes"):
            read_adjustment(tmp_path)
    whole = seal({"probability": 0.03, "seed": 2, "items": ["a", 7]})
    for text in ("", "[]", "{}", "[" * 100_000, whole.replace("0.03", "0.05"), whole[:-9]):
        file.write_text(text)
        with pytest.raises(ValueError, match=r"adjustment\.json .*; adjust the items again"):
            read_adjustment(tmp_path)
