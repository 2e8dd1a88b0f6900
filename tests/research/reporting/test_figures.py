import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from flatrec.research.reporting.figures import Curve, Score, dot_chart, learning_curves
from flatrec.research.reporting.styles import FIXED_STYLES, INK, OTHER_STYLES, style_of

CURVES = [
    Curve("plain", ({1: 0.1, 2: 0.2, 3: 0.3}, {1: 0.2, 2: 0.2})),
    Curve("bsam+", ({1: 0.1, 2: 0.3}, {1: 0.1, 2: 0.4})),
]
SCORES = [Score("plain", 0.3, 0.01), Score("bsam+", 0.31, 0.02), Score("item-knn", 0.27)]


def luminance(color):
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_curve_has_the_epochs_that_every_seed_reached():
    assert CURVES[0].epochs == [1, 2]
    assert Curve("plain", ()).epochs == []
    assert Curve("plain", ({1: 0.1}, {})).epochs == []


@pytest.mark.parametrize("svg", [learning_curves(CURVES, "loss"), dot_chart(SCORES, "Recall@10")])
def test_a_figure_is_one_svg_element_in_the_colors_of_its_strategies(svg):
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert FIXED_STYLES["plain"].color in svg
    assert FIXED_STYLES["bsam+"].color in svg
    assert FIXED_STYLES["sam"].color not in svg


def test_ink_follows_the_color_scheme_and_there_is_no_background():
    svg = dot_chart(SCORES, "Recall@10")
    assert INK not in svg
    assert "currentColor" in svg
    assert "prefers-color-scheme:dark" in svg
    assert "#ffffff" not in svg


def test_a_figure_with_nothing_to_draw_is_still_a_figure():
    assert learning_curves([], "loss").startswith("<svg")
    assert learning_curves([Curve("plain", ({}, {}))], "loss").startswith("<svg")
    assert dot_chart([], "Recall@10").startswith("<svg")
    assert dot_chart([Score("plain", 0.0)], "Recall@10").startswith("<svg")


def test_a_single_epoch_is_drawn_as_a_marker():
    one, two = Curve("sam", ({1: 0.1},)), Curve("sam", ({1: 0.1, 2: 0.2},))
    assert learning_curves([one], "loss").count("<use") > learning_curves([two], "loss").count("<use")


def test_hostile_names_do_not_break_the_image():
    ElementTree.fromstring(dot_chart([Score("<script>&$x_$", 0.3)], "a < b & $c"))
    ElementTree.fromstring(learning_curves([Curve("_<b>$\\frac{$", ({1: 0.1, 2: 0.3},))], "$"))


def test_every_color_stands_out_on_white_and_on_black():
    for look in (*FIXED_STYLES.values(), *OTHER_STYLES):
        assert 1.05 / (luminance(look.color) + 0.05) >= 2.9
        assert (luminance(look.color) + 0.05) / (luminance("#12151a") + 0.05) >= 2.9


def test_looks_are_told_apart_without_color():
    for one, other in pairwise(["plain", "plain+", "sam", "sam+", "bsam", "bsam+"]):
        assert (style_of(one).dash, style_of(one).marker) != (style_of(other).dash, style_of(other).marker)


def test_an_unknown_strategy_always_looks_the_same():
    assert style_of("of my own") is style_of("of my own")
    assert style_of("of my own") in OTHER_STYLES
