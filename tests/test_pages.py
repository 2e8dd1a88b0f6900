"""The hand-written pages against the code that they describe."""

from __future__ import annotations

import re
import shlex
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import flatrec
from flatrec.cli import main
from flatrec.cli.commands import COMMANDS
from flatrec.config import old_words
from flatrec.data.formats import data_formats
from flatrec.evaluation.metrics import METRICS
from flatrec.registry.listing import setting_groups

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


# --- glossary.md


def test_the_glossary_is_one_sentence_per_word_with_a_link_in_order():
    terms = re.findall(r"^- \*\*(.+?)\*\*: (.+)$", page("glossary.md"), flags=re.MULTILINE)
    assert len(terms) > 40
    assert len(terms) == page("glossary.md").count("\n- ")
    sentence = r"[^.]*\(\[[^]]+\]\([^)]+\)\)\."
    assert [term for term, text in terms if not re.fullmatch(sentence, text)] == []
    order = [re.sub(r"[^a-z ]", "", term.lower().replace("-", " ")) for term, _ in terms]
    assert order == sorted(order)


# --- citing.md


def test_the_page_on_citing_has_the_version_and_the_facts_of_the_citation_file():
    text = page("citing.md")
    assert f"version = {{{flatrec.__version__}}}" in text
    citation = ROOT / "CITATION.cff"
    if citation.is_file():
        facts = citation.read_text(encoding="utf-8")
        fields = {
            name: re.search(rf'^{name}: "?(.+?)"?$', facts, flags=re.MULTILINE)[1] for name in ("title", "license")
        }
        assert f"title   = {{{fields['title']}}}" in text
        assert f"license = {{{fields['license']}}}" in text
        assert re.search(r"doi: (\S+)", facts)[1] in text


# --- all pages of this test


@pytest.mark.parametrize(
    "name",
    [
        "citing.md",
        "data.md",
        "faq.md",
        "glossary.md",
        "metrics.md",
        "negative-results.md",
        "quick-start.md",
        "words.md",
    ],
)
def test_a_page_is_found_from_the_readme_and_its_settings_exist(name):
    assert f"(docs/{name})" in (ROOT / "README.md").read_text(encoding="utf-8")
    known = {group.group for group in setting_groups()}
    assert [one for one in re.findall(r"--set '?([a-z_]+)\.", page(name)) if one not in known] == []


def test_the_settings_that_the_questions_name_exist():
    names = {f"{group.group}.{setting.name}" for group in setting_groups() for setting in group.settings}
    named = re.findall(r"`((?:training|evaluation|model|sampling|strategy|optimizer)\.[a-z_]+)", page("faq.md"))
    assert named
    assert [one for one in named if one not in names and not one.endswith(".name")] == []


def test_the_page_on_data_has_every_format():
    table = page("data.md").split("## What is read")[1].split("\n## ")[0]
    assert {CODE.findall(row[0])[0] for row in rows(table)[1:]} == {one.name for one in data_formats()}


# --- quick-start.md and data.md


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, in which all happens."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(name: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page(name), flags=re.DOTALL | re.MULTILINE)
    return [text for found, text in fenced if found == language]


SMALLER = {
    "flatrec data shop": "--users 200 --items 90",
    "flatrec train": "--set training.epochs=2 --set model.embedding_dim=8",
}


def run(line: str) -> None:
    """Run one command of flatrec, on a smaller shop and for fewer epochs."""
    smaller = " ".join(words for command, words in SMALLER.items() if line.startswith(command))
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(f"{line} {smaller}")[1:])
    assert stop.value.code == 0, line


@pytest.mark.usefixtures("folder")
def test_the_quick_start_works():
    first, research = blocks("quick-start.md", "")
    assert "flatrec demo" in research
    commands = [line for line in first.splitlines() if line.startswith("flatrec ")]
    assert len(first.splitlines()) <= 10
    for line in commands:
        run(line)


def test_the_clicks_of_the_quick_start_are_read(folder):
    (example,), (commands,) = blocks("quick-start.md", "text"), blocks("quick-start.md", "console")
    heading, *lines = example.splitlines()
    days = (f"2024-06-{day:02}" for day in range(1, 30))
    more = [f"c{n % 5},p{n % 7},{day}" for n, day in enumerate(days)]
    (folder / "clicks.csv").write_text("\n".join([heading, *lines, *more, ""]), encoding="utf-8")
    for line in commands.splitlines():
        run(line)


def test_the_description_of_the_page_on_data_is_read(folder):
    (description,) = blocks("data.md", "toml")
    run("flatrec data shop raw")
    (folder / "dataset.toml").write_text(description, encoding="utf-8")
    dataset = flatrec.load_data("dataset.toml")
    assert set(dataset.features) == {"image", "text"}
    assert {"price", "category", "in_stock"} <= set(dataset.items_frame().columns)
    assert dataset.split_report.settings.method == "time"
    assert dataset.titles is not None


# --- README.md


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_names_every_command(name):
    assert re.search(rf"`flatrec [a-z -]*{name}\b|/ `?{name}\b", (ROOT / "README.md").read_text(encoding="utf-8"))


# --- all pages


@pytest.mark.parametrize(
    "path", sorted([ROOT / "README.md", ROOT / "experiments" / "LOG.md", *DOCS.glob("*.md")]), ids=lambda one: one.name
)
def test_tables_have_a_heading_and_rows_of_one_length(path):
    text = re.sub(r"^( *)```.*?^\1```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for table in re.findall(r"(?:^ *\|.*\n)+", text, flags=re.MULTILINE):
        lengths = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
        assert re.fullmatch(r"[ |:-]+", table.splitlines()[1]), table[:200]
        assert len(set(lengths)) == 1, table[:200]
