"""Figures in the reader's colors."""

from __future__ import annotations

from xml.etree import ElementTree

from flatrec.research.reporting.styles import INK
from flatrec.research.reporting.theme import themed

SVG = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" width="9">
 <path style="fill: #ffffff"/><path style="fill: #ffffff; fill-opacity: 0.9; stroke: #0072b2"/>
 <path style="fill: #ffffff; stroke: #ffffff"/><path style="stroke: {ink}"/><path style="stroke: #000000"/>
</svg>""".replace("{ink}", INK)


def test_ink_is_that_of_the_scheme_and_backgrounds_are_gone():
    tree = ElementTree.fromstring(themed(SVG))
    style, *paths = tree
    assert "prefers-color-scheme:dark" in style.text
    assert [path.get("style") for path in paths] == [
        "fill: none",
        "fill: var(--paper); fill-opacity: 0.9; stroke: #0072b2",
        "fill: #ffffff; stroke: #ffffff",
        "stroke: currentColor",
        "stroke: currentColor",
    ]
    assert tree.get("width") == "9"


def test_what_is_no_drawing_stays_as_it_is():
    for text in ("", "<svg xmlns='http://www.w3.org/2000/svg'/>", "<svgs>", "no svg"):
        assert themed(text) == text
