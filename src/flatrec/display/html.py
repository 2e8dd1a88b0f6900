"""Elements of HTML whose texts are escaped, and whose styles stay their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

from flatrec.utils.messages import clipped

LONGEST = 120  # characters of a text that are shown
SOFT = "opacity:.72"  # less loud than the text around it, on light and on dark
LINE = "1px solid rgba(128,128,128,.4)"
_PAGE = "font:13px/1.45 system-ui,sans-serif;max-width:62rem;text-align:left;overflow-wrap:anywhere"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")  # no document may hold these
_VOID = ("img", "line", "circle", "polyline")  # without content


@dataclass(frozen=True)
class Html:
    """Markup that is safe to show."""

    markup: str


Content: TypeAlias = Html | str


def element(tag: str, *content: Content, style: str = "", **attributes: str) -> Html:
    """Return an element: its texts and the values of its attributes are escaped, its elements are as they are.

    Args:
        tag: name of the element.
        content: texts and elements inside.
        style: declarations of its own style.
        attributes: by name, with ``_`` in place of ``-``; empty values are left out.

    Example:
        >>> element("b", "1 < 2", title='"').markup
        '<b title="&quot;">1 &lt; 2</b>'
    """
    named = {name.replace("_", "-"): value for name, value in attributes.items()} | {"style": style}
    opening = "".join(f' {name}="{escape(_clean(value))}"' for name, value in named.items() if value)
    if tag in _VOID:
        return Html(f"<{tag}{opening}/>")
    return Html(f"<{tag}{opening}>{joined(*content).markup}</{tag}>")


def joined(*content: Content) -> Html:
    """Return texts and elements one after the other."""
    return Html("".join(one.markup if isinstance(one, Html) else escape(_clean(one)) for one in content))


def text(words: str, longest: int = LONGEST) -> Html:
    """Return words that come from data: cut where they are long, and in the direction of their own script."""
    shown = clipped(words, longest)
    return element("span", shown, dir="auto", title=clipped(words, 5 * LONGEST) if shown != words else "")


def soft(*content: Content) -> Html:
    """Return a line of less weight."""
    return element("div", *content, style=SOFT)


def heading(kind: str, name: str) -> Html:
    """Return the first line of a page: what the object is, and its name."""
    return element("div", f"{kind} ", element("b", text(name)), style="font-size:1.15em;margin:0 0 .3em")


def page(*content: Content) -> str:
    """Return what a notebook shows of an object, in the notebook's own text color."""
    return element("div", *content, style=_PAGE).markup


def _clean(words: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", words)
