"""What a built site must be: every link leads somewhere, every image is described, nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_LOADED_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch", "manifest", "prefetch"}
_ELSEWHERE = re.compile(r"""url\(\s*['"]?(?:https?:)?//|@import\s+['"](?:https?:)?//""")


class Reference(NamedTuple):
    """A link or something that the browser loads."""

    target: str
    loaded: bool


class Page(HTMLParser):
    """The anchors, references and faults of one page of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.references: list[Reference] = []
        self.faults: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names and what it refers to."""
        values = {name: value or "" for name, value in attrs}
        self.anchors.update(values[name] for name in ("id", "name") if values.get(name) and tag != "meta")
        if tag == "img" and not values.get("alt", "").strip():
            self.faults.append(f"image {values.get('src', '')} has no alt text")
        if "href" in values:
            loaded = tag == "link" and bool(_LOADED_LINKS & set(values.get("rel", "").split()))
            self.references.append(Reference(values["href"], loaded))
        if "src" in values:
            self.references.append(Reference(values["src"], loaded=True))
        if _ELSEWHERE.search(values.get("style", "")):
            self.faults.append(f"<{tag}> has a style that loads from elsewhere")


def faults(site: Path) -> list[str]:
    """What is wrong with a built site, one sentence for each fault; nothing if all is well."""
    pages = {file: Page(file.read_text(encoding="utf-8")) for file in sorted(site.rglob("*.html"))}
    places: dict[str, list[str]] = {}  # the pages of each fault
    for file, page in pages.items():
        for fault in (*page.faults, *_broken(site, file, pages)):
            places.setdefault(fault, []).append(str(file.relative_to(site)))
    for file in sorted(site.rglob("*.css")):
        if _ELSEWHERE.search(file.read_text(encoding="utf-8")):
            places.setdefault("loads from elsewhere", []).append(str(file.relative_to(site)))
    return [f"{first}{_others(rest)}: {fault}" for fault, (first, *rest) in places.items()]


def _others(rest: list[str]) -> str:
    return f" and {len(rest)} other page{'s' if len(rest) > 1 else ''}" if rest else ""


def _broken(site: Path, file: Path, pages: dict[Path, Page]) -> Iterator[str]:
    for target, loaded in dict.fromkeys(pages[file].references):
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            if loaded and parts.scheme != "data":
                yield f"loads {target} from elsewhere"
            continue
        # The page for addresses that do not exist is served at any address, so its links begin with a slash.
        start = site if parts.path.startswith("/") else file.parent
        linked = (start / unquote(parts.path.lstrip("/"))).resolve() if parts.path else file
        linked = linked / "index.html" if linked.is_dir() else linked
        if not linked.is_file():
            yield f"no file for the link to {target}"
        elif parts.fragment and linked in pages and unquote(parts.fragment) not in pages[linked].anchors:
            yield f"no anchor for the link to {target}"
