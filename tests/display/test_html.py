from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flatrec.display.chart import MOST, curve
from flatrec.display.html import LONGEST, element, joined, page, text
from flatrec.display.table import table
from tests.display.pages import HOSTILE, checked, rows, words


@pytest.mark.parametrize("hostile", HOSTILE)
def test_texts_and_values_of_attributes_are_escaped(hostile):
    tree = checked(page(element("b", hostile, title=hostile, style=""), text(hostile)))
    assert [node.tag for node in tree.iter()] == ["div", "b", "span"]
    shown = tree.find("b").text
    assert shown == "".join(letter if letter in shown else "\N{REPLACEMENT CHARACTER}" for letter in hostile)


@given(some.text(some.characters()))
def test_any_text_makes_a_page_that_is_well_formed(words):
    checked(page(joined(words), text(words), table((words,), [(words,)], caption=words)))


def test_long_texts_are_cut_and_whole_when_pointed_at():
    (span,) = checked(page(text("ab" * LONGEST)))
    assert (len(span.text), span.text[-1]) == (LONGEST, "\N{HORIZONTAL ELLIPSIS}")
    assert span.get("title") == "ab" * LONGEST
    (span,) = checked(page(text("x" * 1_000_000)))
    assert len(span.get("title")) == 5 * LONGEST


def test_a_table_has_its_cells_in_order():
    tree = checked(page(table(("", "a"), [("one", "1"), ("two", "2")], caption="A title")))
    assert rows(tree) == [["", "a"], ["one", "1"], ["two", "2"]]
    assert "A title" in words(tree)
    assert len(rows(checked(page(table(("", ""), [("one", "1")]))))) == 1


def points(tree):
    return [tuple(map(float, one.split(","))) for one in tree.find(".//polyline").get("points").split()]


def test_a_curve_rises_where_its_values_do_and_marks_an_epoch():
    tree = checked(page(curve({1: 0.5, 2: 1.0, 3: 0.75}, "recall", mark=2)))
    (x1, y1), (x2, y2), (x3, y3) = points(tree)
    assert x2 - x1 == pytest.approx(x3 - x2)
    assert y1 - y3 == pytest.approx((y1 - y2) / 2, abs=0.06)
    assert y2 < y3 < y1  # of a drawing, the origin is above
    mark = tree.find(".//circle")
    assert (float(mark.get("cx")), float(mark.get("cy"))) == (x2, y2)
    assert [one.text for one in tree.iter("text")] == ["1", "0.5", "1", "epoch", "3"]
    assert not {"id", "clip-path", "filter"} & {name for node in tree.iter() for name in node.attrib}


@pytest.mark.parametrize("values", [{1: 3.0}, {1: 2.0, 2: 2.0}, {4: -1e308, 5: 1e308}, {1: float("nan"), 2: 1.0}])
def test_curves_without_a_range_are_drawn_inside(values):
    for x, y in points(checked(page(curve(values, "loss", mark=1)))):
        assert 0 < x < 300
        assert 0 < y < 130


def test_a_curve_of_nothing_is_nothing():
    assert curve({}, "loss").markup == ""
    assert curve({1: float("inf")}, "loss").markup == ""


def test_a_long_curve_is_thinned_and_keeps_its_end_and_its_mark():
    tree = checked(page(curve({epoch: float(epoch % 7) for epoch in range(1, 100_001)}, "loss", mark=77_777)))
    drawn = points(tree)
    assert len(drawn) <= MOST + 2
    assert drawn[-1][0] == pytest.approx(290)
    assert tree.find(".//circle") is not None
