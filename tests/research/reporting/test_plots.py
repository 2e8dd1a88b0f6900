import xml.etree.ElementTree as ElementTree
from functools import partial
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from flatrec.research.reporting.plots import BarPanel, Line, Panel, ViolinPanel, bars, lines, save, violins
from flatrec.research.reporting.styles import FIXED_STYLES
from flatrec.research.reporting.surfaces import SurfacePanel, surfaces

GRID = np.linspace(-1, 1, 5)
BOWL = np.add.outer(GRID**2, GRID**2) + 0.5
HOLED = np.where(BOWL > 2, np.nan, BOWL)
curves = partial(lines, x_label="epoch", y_label="training loss")
shapes = partial(violins, y_label="test Recall@10")
dots = partial(bars, y_label="test Recall@10")

CURVE = Panel("baby", (Line("plain", (1.0, 2.0, 3.0), (3.0, 2.0, 1.0), (2.5, 1.5, 0.5), (3.5, 2.5, 1.5)),))
SHAPE = ViolinPanel("baby", {"plain": [0.1, 0.12, 0.14, 0.11], "bsam+": [0.12, 0.13, 0.19, 0.14]})
DOTS = BarPanel("baby", {"plain": {"8": (0.1, 0.01), "16": (0.2, 0.01)}, "bsam+": {"8": (0.2, 0.01)}})
SURFACE = SurfacePanel("baby", GRID, GRID, HOLED)

KINDS = {
    "lines": (lambda: curves([CURVE]), ("baby", "plain", "epoch", "training loss")),
    "violins": (lambda: shapes([SHAPE]), ("baby", "plain", "bsam+", "test Recall@10")),
    "bars": (lambda: dots([DOTS]), ("baby", "plain", "bsam+", "8", "16", "test Recall@10")),
    "surfaces": (lambda: surfaces([SURFACE]), ("baby", "training loss")),
}
every_kind = pytest.mark.parametrize(("draw", "labels"), KINDS.values(), ids=KINDS)


def rising(name):
    return Line(name, (1.0, 2.0), (1.0, 2.0))


def written(figure, folder):
    save(figure, folder, "figure")
    return (folder / "figure.png").read_bytes(), (folder / "figure.svg").read_bytes()


def texts(figure, folder):
    tree = ElementTree.fromstring(written(figure, folder)[1])
    return ["".join(one.itertext()) for one in tree.iter("{http://www.w3.org/2000/svg}text")]


def seen(figure):
    """Panels that show something."""
    return [axes for axes in figure.axes if axes.get_visible()]


def lines_of(figure, panel=0):
    return {line.get_label(): line for line in figure.axes[panel].lines}


@every_kind
def test_a_figure_is_a_wide_image_on_white_and_a_drawing_with_its_words(draw, labels, tmp_path):
    found = [one.strip() for one in texts(draw(), tmp_path)]
    assert [label for label in labels if label not in found] == []
    with Image.open(tmp_path / "figure.png") as image:
        assert image.width == pytest.approx(6.4 * 150, abs=1)
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["figure.png", "figure.svg"]


@every_kind
def test_equal_figures_are_equal_bytes_without_a_date(draw, labels, tmp_path):  # noqa: ARG001
    first, second = (written(draw(), tmp_path) for _ in range(2))
    assert first == second
    assert b"<dc:date>" not in first[1]


def test_saving_leaves_the_settings_of_others_alone_and_replaces_what_was_there(tmp_path):
    before = mpl.rcParams["svg.fonttype"]
    (tmp_path / "figure.png").write_text("old")
    assert written(curves([CURVE]), tmp_path)[0].startswith(b"\x89PNG")
    assert mpl.rcParams["svg.fonttype"] == before != "none"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="cannot write .*nowhere"):
        save(curves([CURVE]), tmp_path / "nowhere", "figure")


def test_a_figure_that_cannot_be_drawn_leaves_the_old_files(tmp_path, monkeypatch):
    figure = curves([CURVE])
    before = written(figure, tmp_path)
    monkeypatch.setattr(figure, "savefig", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(figure, tmp_path, "figure")
    assert [(tmp_path / f"figure.{ending}").read_bytes() for ending in ("png", "svg")] == list(before)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "draw",
    [
        lambda: curves([]),
        lambda: curves([Panel("empty", ())]),
        lambda: curves([Panel("empty", (Line("plain", (), ()),))]),
        lambda: shapes([]),
        lambda: shapes([ViolinPanel("empty", {"plain": []})]),
        lambda: dots([]),
        lambda: dots([BarPanel("empty", {})]),
        lambda: surfaces([]),
        lambda: surfaces([SurfacePanel("empty", GRID, GRID, np.full((5, 5), np.nan))]),
    ],
)
def test_nothing_to_draw_is_said(draw, tmp_path):
    assert "no data" in texts(draw(), tmp_path)


@pytest.mark.parametrize(("panels", "shape"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3)), (7, (3, 3))])
def test_panels_wrap_to_three_a_row_and_four_make_a_square(panels, shape):
    figure = curves([CURVE] * panels)
    assert figure.axes[0].get_gridspec().get_geometry() == shape
    assert len(seen(figure)) == panels


def test_one_legend_below_all_panels_names_each_line_once():
    figure = curves([CURVE, Panel("sports", (*CURVE.lines, rising("sam")))])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["plain", "sam"]
    figure.draw_without_rendering()
    top = legend.get_window_extent().y1
    assert all(axes.get_tightbbox().y0 >= top - 1 for axes in figure.axes)


@pytest.mark.parametrize(("points", "marked"), [(12, True), (13, False)])
def test_few_points_are_marked(points, marked):
    numbers = tuple(map(float, range(points)))
    line = lines_of(curves([Panel("", (Line("plain", numbers, numbers),))]))["plain"]
    assert (line.get_marker() == FIXED_STYLES["plain"].marker) == marked


def test_a_line_has_the_look_of_its_strategy_and_a_pale_band_from_low_to_high():
    figure = curves([CURVE])
    line, (band,) = lines_of(figure)["plain"], figure.axes[0].collections
    assert (line.get_color(), line.get_linestyle()) == (FIXED_STYLES["plain"].color, FIXED_STYLES["plain"].dash)
    assert band.get_alpha() < 0.3
    assert {tuple(point) for point in band.get_paths()[0].vertices} >= {(1, 2.5), (3, 0.5), (1, 3.5), (3, 1.5)}


@pytest.mark.parametrize("name", ["_hidden", "$x_$", r"$\frac{$", "<b>&"])
def test_names_are_shown_as_they_are_written(name, tmp_path):
    figure = curves([Panel(name, (rising(name),))])
    assert [one.strip() for one in texts(figure, tmp_path)].count(name) == 2


def test_long_names_are_shortened(tmp_path):
    found = texts(curves([Panel("t" * 200, (rising("n" * 200),))]), tmp_path)
    assert max(map(len, found)) < 100
    assert sum("…" in one for one in found) == 2


def test_axes_are_logarithmic_on_request():
    line = Line("plain", (1.0, 10.0, 100.0), (1.0, 0.1, 0.01))
    scales = [
        (axes.get_xscale(), axes.get_yscale())
        for log_x, log_y in ((False, False), (True, False), (True, True))
        for axes in curves([Panel("", (line,))], log_x=log_x, log_y=log_y).axes
    ]
    assert scales == [("linear", "linear"), ("log", "linear"), ("log", "log")]


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.4], [0.3] * 5])
def test_a_violin_of_few_or_equal_values_is_dots_and_a_mean(values, tmp_path):
    figure = shapes([ViolinPanel("", {"sam": values})])
    assert not figure.axes[0].collections
    dots_drawn, mean = figure.axes[0].lines
    assert list(dots_drawn.get_ydata()) == values
    assert mean.get_ydata() == pytest.approx(np.mean(values))
    written(figure, tmp_path)


def test_a_violin_stands_at_its_name_with_a_dot_a_value_and_the_mean():
    axes = shapes([SHAPE]).axes[0]
    assert len(axes.collections) == 2
    assert list(axes.lines[2].get_ydata()) == SHAPE.values["bsam+"]
    assert np.abs(axes.lines[2].get_xdata() - 1).max() < 0.2
    assert axes.lines[3].get_ydata() == pytest.approx(0.145)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["plain", "bsam+"]


def test_dots_stand_at_their_categories_in_the_order_of_the_series():
    axes = dots([DOTS]).axes[0]
    plain, other = (container.lines[0] for container in axes.containers)
    assert [round(x) for x in plain.get_xdata()] == [0, 1]
    assert [round(x) for x in other.get_xdata()] == [0]
    assert plain.get_xdata()[0] < other.get_xdata()[0]
    assert list(plain.get_ydata()) == [0.1, 0.2]
    (segments,) = axes.containers[0].lines[2]
    assert segments.get_segments()[0][:, 1] == pytest.approx([0.09, 0.11])


def test_series_that_are_their_own_categories_need_no_legend():
    figure = dots([BarPanel("", {name: {name: (0.1, 0.0)} for name in ("plain", "sam")})])
    assert not figure.legends
    assert [container.lines[0].get_xdata() for container in figure.axes[0].containers] == [[0], [1]]
    assert len(dots([DOTS]).legends) == 1


def heights(figure):
    return [axes.get_zlim() for axes in figure.axes if axes.name == "3d"]


def flat(figure):
    """Contours, without the color bar."""
    return [axes for axes in figure.axes if axes.name != "3d" and axes.lines]


def test_surfaces_share_one_scale_and_their_contours_mark_the_middle():
    figure = surfaces([SurfacePanel("flat", GRID, GRID, 0.5 + BOWL / 100), SurfacePanel("sharp", GRID, GRID, BOWL)])
    low, high = 0.5, 2.5
    for found in heights(figure):
        assert found == pytest.approx((low, high))
    for axes in flat(figure):
        assert axes.lines[0].get_xydata() == pytest.approx(np.zeros((1, 2)))
        assert axes.collections[0].norm.vmin == pytest.approx(low)
        assert axes.collections[0].norm.vmax == pytest.approx(high)
    assert len(flat(figure)) == len(heights(figure)) == 2


@pytest.mark.parametrize(("ratio", "logarithmic"), [(900, False), (1100, True)])
def test_losses_over_three_orders_of_magnitude_are_drawn_as_logarithms(ratio, logarithmic, tmp_path):
    losses = np.geomspace(1, ratio, 25).reshape(5, 5)
    figure = surfaces([SurfacePanel("", GRID, GRID, losses)])
    assert heights(figure)[0] == pytest.approx((0, np.log10(ratio)) if logarithmic else (1, ratio))
    assert any("log scale" in one for one in texts(figure, tmp_path)) == logarithmic


@pytest.mark.parametrize("losses", [HOLED, np.where(BOWL > 2, np.inf, BOWL), np.full((5, 5), 0.5), -BOWL])
def test_holes_plains_and_negative_losses_can_be_drawn(losses, tmp_path):
    written(surfaces([SurfacePanel("", GRID, GRID, losses)]), tmp_path)


def test_a_panel_without_any_loss_stands_beside_one_with(tmp_path):
    panels = [SurfacePanel("lost", GRID, GRID, np.full((5, 5), np.nan)), SurfacePanel("kept", GRID, GRID, BOWL)]
    assert {"lost", "kept"} <= set(texts(surfaces(panels), tmp_path))


def test_a_spread_that_is_rounding_is_none():
    figure = shapes([ViolinPanel("", {"sam": [0.3, float(np.nextafter(0.3, 1)), 0.3]})])
    assert not figure.axes[0].collections


def test_the_same_figure_is_the_same_bytes_however_often_it_is_saved(tmp_path):
    figure = surfaces([SURFACE, SURFACE])
    assert written(figure, tmp_path) == written(figure, tmp_path)


@pytest.mark.parametrize("label", [r"$\frac{$", "_loss", "$x$"])
def test_labels_of_axes_are_shown_as_they_are_written(label, tmp_path):
    figure = lines([CURVE], x_label=label, y_label=label)
    assert [one.strip() for one in texts(figure, tmp_path)].count(label) == 2


@pytest.mark.parametrize(
    "names", [("each", "best so far"), ("asam", "asam+", "fishersam", "fishersam+", "friendlysam", "mg")]
)
def test_names_in_one_figure_never_look_the_same(names):
    drawn = lines_of(curves([Panel("", tuple(map(rising, names)))])).values()
    assert len({(line.get_color(), line.get_linestyle()) for line in drawn}) == len(names)


def test_many_long_names_fit_into_the_legend():
    figure = curves([Panel("", tuple(rising(f"a rather long name of number {n}") for n in range(8)))])
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


def test_names_under_narrow_panels_do_not_touch():
    figure = dots([BarPanel("", {name: {name: (0.1, 0.0)} for name in "abcdefghijklm"})] * 3)
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_violins_leave_out_what_is_not_a_number(tmp_path):
    figure = shapes([ViolinPanel("", {"sam": [0.1, float("nan"), 0.3, 0.2]})])
    assert figure.axes[0].lines[1].get_ydata() == pytest.approx(0.2)
    written(figure, tmp_path)


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show(tmp_path):
    lost, kept = Line("sam", (0.0, 1.0), (1.0, -1.0)), Line("plain", (1.0, 10.0), (1.0, 0.0))
    figure = curves([Panel("", (lost,)), Panel("", (lost, kept))], log_x=True, log_y=True)
    assert texts(figure, tmp_path).count("no data") == 1
    assert list(lines_of(figure, 1)) == ["plain"]


def test_surfaces_stay_as_wide_as_a_page_and_stand_above_their_contours():
    for panels in (1, 3, 6):
        figure = surfaces([SURFACE] * panels)
        assert figure.get_figwidth() == 6.4
        figure.draw_without_rendering()
        above = [axes for axes in figure.axes if axes.name == "3d"]
        for upper, lower in zip(above, flat(figure), strict=True):
            upper_box, lower_box = (axes.get_window_extent() for axes in (upper, lower))
            assert upper_box.y0 >= lower_box.y1
            assert upper_box.x0 + upper_box.x1 == pytest.approx(lower_box.x0 + lower_box.x1, abs=20)


def test_no_words_are_smaller_than_nine_points():
    for draw, _ in KINDS.values():
        figure = draw()
        words = [one for one in figure.findobj(Text) if one.get_text() and one.get_visible()]
        assert min(one.get_fontsize() for one in words) >= 9


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Line("sam", (1.0,), (1.0, 2.0)),
        lambda: Line("sam", (1.0,), (1.0,), (1.0,)),
        lambda: Line("sam", (1.0,), (1.0,), (1.0,), (1.0, 2.0)),
        lambda: SurfacePanel("sam", GRID, GRID[1:], BOWL),
    ],
)
def test_what_does_not_fit_together_is_named(wrong):
    with pytest.raises(ValueError, match="sam"):
        wrong()
