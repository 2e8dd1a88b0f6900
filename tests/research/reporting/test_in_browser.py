"""The pages of reports in a real Chromium: on a phone, in light and dark, with tables that are saved as CSV."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Drawing

import flatrec
from flatrec.inference.answers import ItemList, Reason, Recommendation
from flatrec.research.league.report import PAGE, write_reports
from flatrec.research.reporting.demo_page import render
from flatrec.research.reporting.html import figure_uri
from flatrec.research.reporting.plots import BarPanel, bars, save
from flatrec.research.reporting.study_report import Chapter, html
from flatrec.research.reporting.study_result import Column, Image, StudyResult, Table
from flatrec.research.reporting.surfaces import SurfacePanel, surfaces
from flatrec.testing import block_dataset
from tests.browser import CONTRAST, chromium
from tests.research.league.made import BASE, finished, league, plus
from tests.research.league.test_verdict import STEPS
from tests.research.reporting.test_demo_page import REPORT, measured
from tests.research.reporting.test_study_report import COLUMNS, RESULT

LONG = "a-name-that-is-much-longer-than-a-phone-is-wide-" * 3
PHONE, DESKTOP = 390, 1200
WIDE = Table(
    "wide",
    f"Wide {LONG}",
    (Column("strategy"), *(Column(f"recall@{k}", "number", best="highest") for k in range(1, 30))),
    tuple((name, *(0.1 + k / 3 for k in range(1, 30))) for name in ("plain", LONG)),
    "A note.",
    compares="strategy",
)


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages by name, as files."""
    folder = tmp_path_factory.mktemp("pages")
    strategies = dict(REPORT.strategies) | {LONG: measured(0.4, 0.1, 0.01)}
    baselines = {name: {"recall@10": 0.27, "ndcg@10": 0.13} for name in ("item-knn", "popularity", LONG)}
    demo = replace(REPORT, title=LONG, strategies=strategies, baselines=baselines, settings={LONG: LONG})
    figures = _figures(folder)
    study = replace(
        RESULT,
        title=f"Study {LONG}",
        tables=(WIDE, *RESULT.tables),
        images=tuple(Image(name, LONG, LONG) for name in figures),
        settings={LONG: LONG},
        findings=(LONG,),
        card_columns=COLUMNS,
    )
    (folder / "demo.html").write_text(render(demo), encoding="utf-8")
    (folder / "report.html").write_text(html([Chapter(Path("one"), study, figures)]), encoding="utf-8")
    write_reports(league(("base", "new")), finished({"base": BASE, "new": plus(BASE, STEPS)}), folder)
    (folder / "notebook.html").write_text(_notebook(folder), encoding="utf-8")
    return {"demo": folder / "demo.html", "report": folder / "report.html", "league": folder / PAGE,
            "notebook": folder / "notebook.html"}  # fmt: skip


def _figures(folder):
    """Figures as a study draws them."""
    across = np.linspace(-1, 1, 5)
    losses = across[:, None] ** 2 + across**2 + 0.1
    drawn = {
        "bars": bars([BarPanel("", {"plain": {"plain": (0.1, 0.01)}})], y_label="recall"),
        "surface": surfaces([SurfacePanel("plain", across, across, losses)]),
    }
    for name, figure in drawn.items():
        save(figure, folder, name)
    return {name: figure_uri((folder / f"{name}.svg").read_bytes()) for name in drawn}


def _notebook(folder):
    """What a notebook shows, on a ground and in a color of the scheme."""
    Drawing.new("RGB", (40, 40), "blue").save(folder / "mug.png")
    reasons = (Reason("lamp", 0.5, "exact", LONG),)
    items = tuple(Recommendation(LONG, 0.5, title, folder / "mug.png", True, reasons) for title in (LONG, None))
    run = flatrec.fit(block_dataset(), "bpr", training=flatrec.Training(epochs=2, batch_size=32))
    shown = (run.dataset, run, ItemList(items, "known", LONG), WIDE, replace(RESULT, tables=(WIDE,)))
    body = "".join(one._repr_html_() for one in shown)
    style = "@media (prefers-color-scheme: dark) { body { background: #111111; color: #e0e0e0 } } body { margin: 0 }"
    return f'<!DOCTYPE html><meta charset="utf-8"><title>n</title><style>{style}</style><body>{body}'


@pytest.fixture(scope="module")
def visit(browser, pages):
    """Show a page at a width and in a color scheme; each is opened once."""
    opened = {}

    def shown(name, width=PHONE, scheme="light"):
        if name not in opened:
            opened[name] = browser.new_page()
            opened[name].goto(pages[name].as_uri())
            opened[name].evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        opened[name].set_viewport_size({"width": width, "height": 800})
        opened[name].emulate_media(color_scheme=scheme)
        return opened[name]

    yield shown
    for page in opened.values():
        page.close()


NAMES = ("demo", "report", "league", "notebook")


@pytest.mark.parametrize(("name", "width"), [*product(NAMES, (320, PHONE, DESKTOP))])
def test_a_page_never_scrolls_sideways(visit, name, width):
    page = visit(name, width)
    widths = page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1] == width
    tables = page.evaluate(
        """() => [...document.querySelectorAll("table")].map((table) => {
            const box = table.parentElement;
            return [box.clientWidth, box.scrollWidth, getComputedStyle(box).overflowX];
        })"""
    )
    assert tables
    assert all(own >= inner or overflow == "auto" for own, inner, overflow in tables)
    if name == "report" and width == PHONE:
        assert any(inner > own for own, inner, _ in tables)  # a table that is wider scrolls in its box


@pytest.mark.parametrize(("name", "scheme"), [*product(NAMES, ("light", "dark"))])
def test_every_text_is_readable_in_both_schemes(visit, name, scheme):
    page = visit(name, DESKTOP, scheme)
    found = page.evaluate(CONTRAST)
    assert found["seen"] > 20
    assert found["low"] == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground in ("rgb(18, 21, 26)", "rgb(17, 17, 17)")) == (scheme == "dark")


def shades(page, selector, place):
    """The image of an element: its pixels as they are on the screen."""
    content = page.locator(selector).nth(place).screenshot()
    return Drawing.open(io.BytesIO(content)).convert("L")


@pytest.mark.parametrize(("name", "place"), [("report", 0), ("report", 1), ("league", 0), ("demo", 0)])
def test_figures_are_dark_on_light_and_light_on_dark(visit, name, place):
    selector = "figure img[src^='data:image/svg']"
    light, dark = (shades(visit(name, DESKTOP, scheme), selector, place) for scheme in ("light", "dark"))
    assert light.getpixel((1, 1)) > 240
    assert dark.getpixel((1, 1)) < 40
    assert light.getextrema()[0] < 110  # ink
    assert dark.getextrema()[1] > 170


def test_a_figure_that_is_no_svg_keeps_its_white_ground(browser):
    png = io.BytesIO()
    Drawing.new("RGBA", (4, 4), (0, 0, 0, 0)).save(png, "PNG")
    uri = f"data:image/png;base64,{b64encode(png.getvalue()).decode()}"
    study = StudyResult("s", "S", "Q?", (), (Image("one", "One"),))
    page = browser.new_page(color_scheme="dark")
    page.set_content(html([Chapter(Path("one"), study, {"one": uri})]))
    assert (
        page.evaluate("getComputedStyle(document.querySelector('figure img')).backgroundColor") == "rgb(255, 255, 255)"
    )
    page.close()


def saved(page, place):
    """The name and the rows of the file that a click on a link saves."""
    with page.expect_download() as waiting:
        page.locator("a.csv").nth(place).click()
    with Path(waiting.value.path()).open(encoding="utf-8", newline="") as file:
        return waiting.value.suggested_filename, list(csv.reader(file))


def test_a_table_of_a_report_is_saved_with_all_digits(visit):
    page = visit("report")
    card, wide = saved(page, 0), saved(page, 1)
    assert card[0] == "robustness-freedom-toys.csv"
    assert card[1][0][:3] == ["strategy", "Test Recall@10", "Test Recall@10, deviation"]
    assert [row[:3] for row in card[1][1:]] == [["plain", "0.06", "0.0012"], ["bsam+", "0.063", "0.0013"]]
    name, (headings, *rows) = wide
    assert name == "wide.csv"
    assert headings == [column.name for column in WIDE.columns]
    assert [(row[0], *map(float, row[1:])) for row in rows] == list(WIDE.rows)


@pytest.mark.parametrize("name", NAMES[:3])
def test_every_table_has_a_file_of_its_own_name(visit, name):
    page = visit(name)
    files = [saved(page, place) for place in range(page.locator("a.csv").count())]
    assert len(files) == page.locator("table").count()
    names = [file for file, _ in files]
    assert len(set(names)) == len(names)
    rows = page.evaluate("() => [...document.querySelectorAll('table')].map((one) => one.tBodies[0].rows.length)")
    assert sorted(len(cells) - 1 for _, cells in files) == sorted(rows)
    assert all(len(row) == len(cells[0]) for _, cells in files for row in cells)
