"""Item texts as they come, made readable."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

from flatrec.content.encoders.raw import Raw

LONGEST = 20_000  # characters; what follows no encoder reads
EMPTY, MARKUP, CONTROLS, LONG = "empty", "markup removed", "control characters removed", "cut at 20000 characters"
_MARKUP = re.compile(r"<[A-Za-z/!?][^<>]*>|&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_SILENT = ("script", "style", "head", "template")


def cleaned(text: str | None) -> Raw[str]:
    """The text without markup, control characters and repeated blanks; missing where nothing is left.

    Letters of every script stay, in Unicode's composed form (NFC); what an encoder makes of them is the encoder's to
    say. A text without any of that comes back as it is.
    """
    remarks: list[str] = []
    text = text or ""
    if len(text) > LONGEST:
        remarks.append(LONG)
        text = text[:LONGEST]
    if _MARKUP.search(text):
        remarks.append(MARKUP)
        text = _without_markup(text)
    readable = without_controls(text)
    if readable != text and any(_is_control(letter) and not letter.isspace() for letter in text):
        remarks.append(CONTROLS)
    text = " ".join(unicodedata.normalize("NFC", readable).split())
    return Raw(text, tuple(remarks)) if text else Raw(None, (EMPTY,))


def without_controls(text: str) -> str:
    """The text with a blank for each letter that nobody reads: controls, halves of pairs, what Unicode leaves open."""
    return "".join(" " if _is_control(letter) else letter for letter in text)


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs", "Co", "Cn") or letter == "\ufeff"


def _without_markup(text: str) -> str:
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return "".join(reader.parts)


class _Reader(HTMLParser):
    """Collects what a reader of the page would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.hidden += tag in _SILENT
        self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in _SILENT and self.hidden > 0
        self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)
