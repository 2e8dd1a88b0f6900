"""What holds of every page that a notebook shows."""

from __future__ import annotations

import re
from xml.etree import ElementTree

HOSTILE = (
    "<script>alert('1')</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "' onmouseover='alert(1)",
    "]]></b></div></table>",
    "&lt;b&gt; &amp; &#60;",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc \N{HEBREW LETTER ALEF}",
    "a\x00b\x1b[31m\x85\ud800",
    "\N{SNOWMAN}\N{SMILING FACE WITH OPEN MOUTH} e\N{COMBINING ACUTE ACCENT}",
    "{{ 7 * 7 }} ${x} $\\alpha$",
    "x" * 10_000,
    " ",
)
TAGS = {"div", "b", "span", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "img"}
DRAWN = {"svg", "line", "polyline", "circle", "text"}
ATTRIBUTES = {"style", "title", "dir", "alt", "src", "role", "aria-label", "aria-hidden"}


def checked(page: str) -> ElementTree.Element:
    """Return the elements of a page that is well formed, can be stored, and holds nothing that acts or leaks."""
    assert page.encode().decode() == page
    tree = ElementTree.fromstring(page)  # more strict than any browser
    for node in tree.iter():
        assert node.tag in TAGS | DRAWN
        if node.tag not in DRAWN:
            assert set(node.attrib) <= ATTRIBUTES
        assert not {name for name in node.attrib if name.startswith("on") or name in ("id", "class", "href")}
        assert re.fullmatch(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+", node.get("src", "data:image/png;base64,A"))
        assert "url(" not in node.get("style", "")
        assert not re.search(r"#[0-9a-f]{3}|(?<!-)color:(?!inherit)", node.get("style", ""))  # of no theme
    return tree


def words(tree: ElementTree.Element) -> str:
    """Return the text of a page, as it reads."""
    return re.sub(r"\s+", " ", " ".join(tree.itertext()).replace("\N{NO-BREAK SPACE}", " "))


def rows(tree: ElementTree.Element) -> list[list[str]]:
    """Return the cells of all tables, row by row."""
    return [["".join(cell.itertext()) for cell in row] for row in tree.iter("tr")]


def addresses(tree: ElementTree.Element) -> list[str]:
    """Return the address of each image."""
    return [image.attrib["src"] for image in tree.iter("img")]
