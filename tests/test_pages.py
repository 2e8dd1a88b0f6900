"""The hand-written pages against the code that they describe."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from flatrec.config import old_words
from flatrec.evaluation.metrics import METRICS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CODE = re.compile(r"`([^`]+)`")


@cache
def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without their headings."""
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if "|" in line]
    return [row for row in cells if not all(set(cell) <= set("-:") for cell in row)]


def sections(text: str, level: str) -> dict[str, str]:
    """The text under each heading of a level."""
    parts = re.split(rf"^{level} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


# --- metrics.md


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_formula_and_a_range(name):
    formulas = sections(page("metrics.md").split("## Formulas")[1].split("## Other libraries")[0], "###")
    (text,) = [text for heading, text in formulas.items() if name in CODE.findall(heading)]
    assert re.search(r"^\$\$\n.+\n\$\$$", text, flags=re.MULTILINE)
    assert re.match(r"(Between 0 and 1|From 0|0 or 1)", text.strip())


# --- words.md


def words_of(row: list[str]) -> tuple[str, str]:
    """The old word and the new one of a row."""
    old, new = row[-2:]
    return CODE.findall(old)[0], CODE.findall(new)[0]


@cache
def renamed() -> dict[str, dict[str, str]]:
    """Old words and new ones by section of the page; its section of defaults is about values."""
    found = {}
    for heading, text in sections(page("words.md"), "##").items():
        if heading != "Defaults":
            found[heading] = dict(words_of(row) for row in rows(text) if CODE.search(row[-1]))
    return found


TABLES = {
    "Settings": old_words.SETTINGS,
    "Keys of `dataset.toml`": old_words.DATASET_KEYS,
    "Commands and options": {**old_words.COMMANDS, **old_words.OPTIONS},
    "Strategies and studies": old_words.NAMES,
}
BEYOND = {
    "beta": "interval",
    "evaluate --cold": "cold-start",
}  # a setting of one strategy, and a command with an option


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_of_words_has_every_old_word_that_is_answered_and_no_other(heading):
    assert {old: new for old, new in renamed()[heading].items() if old not in BEYOND} == TABLES[heading]


def test_the_page_of_words_has_what_the_changelog_lists():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"\| where \| old \| new \|\n(.*?)\n\n", changelog, flags=re.DOTALL)
    shown = {old: new for part in renamed().values() for old, new in part.items()}
    text = page("words.md")
    for row in rows(table):
        old, new = (CODE.findall(cell) for cell in row[-2:])
        assert old
        if row[0] == "modules":
            old, new = ([f"flatrec.{name}" for name in names] for names in (old, new))
        for word, present in zip(old, new, strict=False):
            assert f"`{word}`" in text, word
            assert word not in shown or shown[word].split(".")[-1] == present.split(".")[-1]


@pytest.mark.parametrize(("old", "new"), renamed()["Python"].items())
def test_a_new_name_of_python_is_there_and_the_old_one_is_not(old, new):
    assert find(new) is not None
    with pytest.raises((ImportError, AttributeError)):
        find(old)


def find(place: str) -> object:
    """A module, or a name of one."""
    home, _, name = place.rpartition(".")
    try:
        return getattr(import_module(home), name)
    except AttributeError:
        return import_module(place)


# --- negative-results.md and the lab book


def anchor(heading: str) -> str:
    """The anchor of a heading, alike on GitHub and on the site."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


@cache
def entries() -> dict[str, str]:
    """The entries of the lab book by anchor."""
    book = (ROOT / "experiments" / "LOG.md").read_text(encoding="utf-8")
    return {anchor(heading): text for heading, text in sections(book, "##").items()}


def test_headings_of_the_lab_book_begin_with_a_date_and_have_one_anchor_everywhere():
    book = (ROOT / "experiments" / "LOG.md").read_text(encoding="utf-8")
    headings = [one for one in re.findall(r"^## (.+)$", book, flags=re.MULTILINE) if one != "How to read this"]
    dates = [re.fullmatch(r"(\d{4}-\d\d-\d\d): [^·–—]+", one) for one in headings]
    assert [one for one, found in zip(headings, dates, strict=True) if not found] == []
    assert len({anchor(one) for one in headings}) == len(headings)
    assert [found[1] for found in dates] == sorted(found[1] for found in dates)


@pytest.mark.parametrize("heading", sections(page("negative-results.md"), "##"))
def test_a_negative_result_has_the_figures_of_its_entries(heading):
    text = sections(page("negative-results.md"), "##")[heading]
    cited = re.findall(r"\(\.\./experiments/LOG\.md#([^)]+)\)", text)
    assert cited
    told = "".join(entries()[one] for one in cited)
    if "(strategies.md)" in text:
        told += page("strategies.md")
    figures = set(re.findall(r"(?<![\d.,])\d+(?:\.\d+|,\d{3}(?:,\d{3})*)(?![\d,]*\d)", text))
    assert [one for one in figures if not re.search(rf"(?<![\d.]){re.escape(one)}(?!\d)", told)] == []
