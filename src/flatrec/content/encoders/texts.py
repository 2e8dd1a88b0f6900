"""Cleaning of item texts.

The standard library's HTML parser is used and no other: the cleaned text decides the vectors, and other parsers read
comments and stray tags differently.
"""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

from flatrec.content.encoders.base import EncoderInput

MAX_LENGTH = 20_000  # characters; no encoder reads more
EMPTY, MARKUP, CONTROLS, TOO_LONG = "empty", "markup removed", "control characters removed", "cut at 20000 characters"
_MARKUP = re.compile(r"<[A-Za-z/!?][^<>]*>|&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_INVISIBLE = ("script", "style", "head", "template")


def clean_text(text: str | None) -> EncoderInput[str]:
    """Remove markup, control characters and repeated blanks; the text counts as missing if nothing is left.

    Letters of every script stay, in Unicode's composed form (NFC); the encoder itself warns of letters that it does not
    know.
    """
    warnings: list[str] = []
    text = text or ""
    if len(text) > MAX_LENGTH:
        warnings.append(TOO_LONG)
        text = text[:MAX_LENGTH]
    if _MARKUP.search(text):
        warnings.append(MARKUP)
        text = _remove_markup(text)
    readable = remove_control_characters(text)
    if readable != text and any(_is_control(letter) and not letter.isspace() for letter in text):
        warnings.append(CONTROLS)
    text = " ".join(unicodedata.normalize("NFC", readable).split())
    return EncoderInput(text, tuple(warnings)) if text else EncoderInput(None, (EMPTY,))


def remove_control_characters(text: str) -> str:
    """Replace control characters, lone surrogates and code points without a character by blanks."""
    return "".join(" " if _is_control(letter) else letter for letter in text)


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs", "Co", "Cn") or letter == "\ufeff"


def _remove_markup(text: str) -> str:
    parser = _VisibleText()
    parser.feed(text)
    parser.close()
    return "".join(parser.pieces)


class _VisibleText(HTMLParser):
    """Collects the text that a reader of the page sees."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.depth = 0

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.depth += tag in _INVISIBLE
        self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag in _INVISIBLE and self.depth > 0
        self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if not self.depth:
            self.pieces.append(data)
