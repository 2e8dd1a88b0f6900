"""Tables that scroll in a box of their own where they are wide."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from flatrec.display.html import LINE, Content, Html, element

_TABLE = (
    "table-layout:auto;border-collapse:collapse;margin:.2em 0;border:0;font-variant-numeric:tabular-nums;font-size:1em"
)
_CELL = f"padding:.2em 1.1em .2em 0;vertical-align:top;border:0;border-top:{LINE};background:none;color:inherit"
_HEAD = "padding:.2em 1.1em .2em 0;vertical-align:bottom;border:0;background:none;color:inherit;font-weight:600"


def table(
    columns: Sequence[Content], rows: Sequence[Sequence[Content]], *, texts: Collection[int] = (0,), caption: str = ""
) -> Html:
    """Return a table.

    Args:
        columns: headings; all empty for a table without them.
        rows: cells; the first of a row is its name.
        texts: indices of the columns that are aligned left.
        caption: title above the table.
    """
    head = element("tr", *(_cell("th", name, _HEAD, is_text=place in texts) for place, name in enumerate(columns)))
    body = [
        element(
            "tr",
            *(_cell("td" if place else "th", cell, _CELL, is_text=place in texts) for place, cell in enumerate(row)),
            style="background:none",
        )
        for row in rows
    ]
    title = element("div", caption, style="font-weight:600;margin:.5em 0 .2em") if caption else ""
    whole = element(
        "table",
        *([element("thead", head, style="border:0")] if any(columns) else []),
        element("tbody", *body),
        style=_TABLE,
    )
    return element("div", title, whole, style="overflow-x:auto;max-width:100%")


def _cell(tag: str, content: Content, style: str, *, is_text: bool) -> Html:
    weight = ";font-weight:400;white-space:nowrap" if tag == "th" and style is _CELL else ""
    side = "left" if is_text else "right;white-space:nowrap"
    return element(tag, content, style=f"{style};text-align:{side}{weight}")
