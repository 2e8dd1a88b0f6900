"""The page of a generation."""

from __future__ import annotations

from html.parser import HTMLParser

from flatrec.refresh.report import render
from flatrec.refresh.state import State

EVIL = "<script>alert('x')</script> & $reason"
STATE = State(
    7,
    "2024-01-01",
    "f",
    "s",
    delivery={"name": EVIL, "interactions": 12_000, "users": 30, "items": 20, "newest": 1_704_067_200, "columns": {}},
    before={"name": EVIL, "interactions": 11_000, "users": 30, "items": 20, "newest": 1_703_980_800, "columns": {}},
    checks=({"setting": "check.users", "about": EVIL, "found": EVIL, "allowed": "any", "passed": False},),
    comparison={"values": {EVIL: {"recall@10": 0.25}, "other": {"recall@10": 0.125}}, "about": EVIL},
    exports=({"what": "recommendations", "target": EVIL, "rows": 300},),
    seconds={"check": 0.25},
    outcome="promoted",
    reason=EVIL,
)


class Reader(HTMLParser):
    """The texts and tags of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts = set(), []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        self.tags.add(tag)

    def handle_data(self, data):
        self.texts.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    return reader


def test_what_comes_from_data_is_shown_as_text():
    page = read(render(STATE, [{**STATE.as_line(), "reason": EVIL}]))
    assert "script" not in page.tags
    assert sum(EVIL in text for text in page.texts) >= 7


def test_the_page_shows_the_numbers():
    texts = read(render(STATE)).texts
    for shown in ("12,000", "11,000", "0.2500", "0.1250", "300", "0.2", "check.users", "2024-01-01", "2023-12-31"):
        assert any(shown in text for text in texts), shown


def test_a_generation_that_failed_says_so():
    page = render(State(1, "2024-01-01", "f", "s", error="train: out of memory"))
    assert '<p class="failed"><strong>failed.</strong> train: out of memory</p>' in page


def test_the_newest_lines_of_the_history_are_shown_newest_first():
    lines = [{"number": n, "started": "2024", "outcome": "kept", "reason": f"reason {n}"} for n in range(1, 21)]
    texts = [text for text in read(render(STATE, lines)).texts if text.startswith("reason ")]
    assert texts == [f"reason {n}" for n in range(20, 6, -1)]
