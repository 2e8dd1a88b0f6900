"""What is read of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flatrec.content.encoders.texts import CONTROLS, EMPTY, MARKUP, MAX_LENGTH, TOO_LONG, clean_text


@pytest.mark.parametrize(
    "text", ["A plain text.", "a < b and c > d", "AT&T", "5 & 6", "Tom & Jerry; more", "玩具总动员", "Ёлка"]
)
def test_what_is_in_order_stays_as_it_is(text):
    assert clean_text(text).value == text
    assert clean_text(text).warnings == ()


@pytest.mark.parametrize("text", [None, "", "  \n\t ", "<br/>", "<script>x()</script>", "\u200b\x00"[1:], "&nbsp;"])
def test_what_says_nothing_is_missing(text):
    found = clean_text(text)
    assert found.value is None
    assert found.warnings == (EMPTY,)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("<b>Soft</b> toy", "Soft toy"),
        ("Soft<br>toy", "Soft toy"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("<style>p{}</style><p>Cup</p><!-- x -->", "Cup"),
        ("it&#39;s", "it's"),
    ],
)
def test_markup_goes(text, clean):
    found = clean_text(text)
    assert found.value == clean
    assert MARKUP in found.warnings


def test_blanks_and_control_characters_go():
    assert clean_text("a\n b\t\tc").value == "a b c"
    assert clean_text("a\n b").warnings == ()
    found = clean_text("a\x00b\ud800c")
    assert found.value == "a b c"
    assert found.warnings == (CONTROLS,)


def test_letters_are_composed():
    assert clean_text("e\u0301").value == "\u00e9"


def test_a_text_without_end_is_cut():
    found = clean_text("word " * MAX_LENGTH)
    assert len(found.value) <= MAX_LENGTH
    assert found.warnings == (TOO_LONG,)


@given(some.text(max_size=200))
def test_any_text_is_read_and_cleaning_twice_changes_nothing(text):
    once = clean_text(text)
    if once.value is not None:
        once.value.encode()
        assert once.value == once.value.strip()
        assert not any(letter in once.value for letter in "\n\t\x00")
