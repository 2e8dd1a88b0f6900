"""The shape of every kind of item, as strokes on a canvas of 100 by 100."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Layer = Literal["behind", "body", "front"]
Form = Literal["polygon", "ellipse", "box", "line", "arc"]


class Stroke(NamedTuple):
    """One shape of a silhouette.

    ``body`` takes the color and pattern of the item; ``behind`` and ``front`` take the color of its trim.
    Boxes, ellipses and arcs are given by two corners; an arc runs clockwise from ``start`` to ``end`` degrees.
    A width of zero fills the shape.
    """

    layer: Layer
    form: Form
    points: tuple[tuple[float, float], ...]
    width: float = 0
    start: float = 0
    end: float = 360


SILHOUETTES: Mapping[str, tuple[Stroke, ...]] = {
    "mug": (
        Stroke("behind", "ellipse", ((54, 38), (82, 68)), 6),
        Stroke("body", "box", ((24, 26), (64, 82))),
        Stroke("front", "ellipse", ((24, 22), (64, 31))),
    ),
    "lamp": (
        Stroke("behind", "line", ((50, 48), (50, 84)), 4),
        Stroke("behind", "ellipse", ((32, 80), (68, 90))),
        Stroke("body", "polygon", ((37, 14), (63, 14), (80, 54), (20, 54))),
        Stroke("front", "line", ((66, 54), (66, 64)), 1.5),
        Stroke("front", "ellipse", ((64, 63), (68, 67))),
    ),
    "chair": (
        Stroke("behind", "line", ((28, 62), (23, 92)), 4),
        Stroke("behind", "line", ((72, 62), (77, 92)), 4),
        Stroke("behind", "line", ((37, 62), (36, 86)), 3),
        Stroke("behind", "line", ((63, 62), (64, 86)), 3),
        Stroke("behind", "line", ((36, 44), (36, 58)), 4),
        Stroke("behind", "line", ((64, 44), (64, 58)), 4),
        Stroke("body", "box", ((29, 10), (71, 47))),
        Stroke("body", "polygon", ((29, 54), (71, 54), (79, 66), (21, 66))),
    ),
    "shirt": (
        Stroke(
            "body",
            "polygon",
            (
                (37, 18),
                (44, 23),
                (56, 23),
                (63, 18),
                (90, 34),
                (81, 52),
                (70, 46),
                (70, 86),
                (30, 86),
                (30, 46),
                (19, 52),
                (10, 34),
            ),
        ),
        Stroke("front", "line", ((37, 18), (44, 26), (56, 26), (63, 18)), 3),
        Stroke("front", "line", ((50, 27), (50, 48)), 1),
        Stroke("front", "ellipse", ((48.5, 32), (51.5, 35))),
        Stroke("front", "ellipse", ((48.5, 41), (51.5, 44))),
    ),
    "bag": (
        Stroke("behind", "arc", ((34, 14), (66, 66)), 4.5, 180, 360),
        Stroke("body", "polygon", ((24, 40), (76, 40), (83, 86), (17, 86))),
        Stroke("front", "box", ((44, 38), (56, 52))),
    ),
    "clock": (
        Stroke("behind", "line", ((30, 78), (24, 90)), 4),
        Stroke("behind", "line", ((70, 78), (76, 90)), 4),
        Stroke("behind", "ellipse", ((16, 16), (84, 84))),
        Stroke("body", "ellipse", ((21, 21), (79, 79))),
        Stroke("front", "line", ((50, 50), (50, 29)), 3),
        Stroke("front", "line", ((50, 50), (64, 57)), 3),
        Stroke("front", "ellipse", ((46.5, 46.5), (53.5, 53.5))),
    ),
    "vase": (
        Stroke("behind", "ellipse", ((27, 24), (47, 58)), 4),
        Stroke("behind", "ellipse", ((53, 24), (73, 58)), 4),
        Stroke("body", "ellipse", ((25, 42), (75, 90))),
        Stroke("body", "polygon", ((43, 22), (57, 22), (63, 50), (37, 50))),
        Stroke("front", "ellipse", ((39, 18), (61, 26))),
    ),
    "shoe": (
        Stroke("behind", "polygon", ((9, 70), (91, 70), (92, 79), (10, 80))),
        Stroke(
            "body",
            "polygon",
            ((10, 40), (16, 36), (32, 40), (40, 36), (58, 52), (78, 57), (88, 62), (91, 71), (10, 71)),
        ),
        Stroke("front", "line", ((40, 49), (48, 42)), 2),
        Stroke("front", "line", ((46, 54), (54, 47)), 2),
        Stroke("front", "line", ((52, 59), (60, 52)), 2),
    ),
    "cushion": (
        Stroke("behind", "ellipse", ((11, 15), (21, 25))),
        Stroke("behind", "ellipse", ((79, 15), (89, 25))),
        Stroke("behind", "ellipse", ((11, 75), (21, 85))),
        Stroke("behind", "ellipse", ((79, 75), (89, 85))),
        Stroke(
            "body",
            "polygon",
            (
                (15, 19),
                (32, 23),
                (50, 24),
                (68, 23),
                (85, 19),
                (81, 35),
                (80, 50),
                (81, 65),
                (85, 81),
                (68, 77),
                (50, 76),
                (32, 77),
                (15, 81),
                (19, 65),
                (20, 50),
                (19, 35),
            ),
        ),
    ),
    "hat": (
        Stroke("body", "ellipse", ((8, 58), (92, 80))),
        Stroke("body", "polygon", ((32, 24), (44, 28), (56, 28), (68, 24), (74, 66), (26, 66))),
        Stroke("front", "polygon", ((27.5, 56), (72.5, 56), (74, 66), (26, 66))),
    ),
    "teapot": (
        Stroke("behind", "ellipse", ((8, 40), (36, 70)), 5),
        Stroke("body", "polygon", ((62, 66), (70, 54), (84, 36), (92, 38), (82, 60), (70, 76))),
        Stroke("body", "ellipse", ((24, 34), (78, 84))),
        Stroke("front", "ellipse", ((36, 31), (66, 40))),
        Stroke("front", "ellipse", ((46.5, 23), (55.5, 32))),
    ),
    "umbrella": (
        Stroke("behind", "line", ((50, 8), (50, 82)), 3),
        Stroke("behind", "arc", ((50, 72), (66, 92)), 3, 0, 180),
        Stroke(
            "body",
            "polygon",
            (
                (8, 54),
                (11, 41),
                (19, 29),
                (33, 19),
                (50, 15),
                (67, 19),
                (81, 29),
                (89, 41),
                (92, 54),
                (78, 49),
                (64, 54),
                (50, 49),
                (36, 54),
                (22, 49),
            ),
        ),
    ),
}
