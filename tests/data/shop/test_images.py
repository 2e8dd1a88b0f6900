import numpy as np
import pytest

from flatrec.data.shop.catalog import ATTRIBUTES, MATERIALS_OF_KIND
from flatrec.data.shop.images import INK, MARKS, SIZE, TRIM, draw_image
from flatrec.data.shop.patterns import draw_pattern
from flatrec.data.shop.silhouettes import SILHOUETTES

ITEM = {
    "kind": "mug",
    "color": "blue",
    "material": "ceramic",
    "pattern": "striped",
    "price_band": "budget",
    "brand": "Nordby",
}


def image(seed: int = 0, **changes: str) -> np.ndarray:
    return np.asarray(draw_image(ITEM | changes, np.random.default_rng(seed)), dtype=np.int64)


def test_there_is_a_image_an_item_of_the_right_size(drawn, undrawn):
    assert undrawn.images is None
    assert len(drawn.images) == 240
    assert {(one.size, one.mode) for one in drawn.images} == {((SIZE, SIZE), "RGB")}


def test_every_value_can_be_drawn():
    assert set(SILHOUETTES) == set(MATERIALS_OF_KIND) == set(ATTRIBUTES["kind"])
    assert set(INK) == set(ATTRIBUTES["color"])
    assert set(TRIM) == set(ATTRIBUTES["material"])
    assert set(MARKS) == set(ATTRIBUTES["brand"])


@pytest.mark.parametrize(
    "change", [{"kind": "lamp"}, {"color": "red"}, {"material": "glass"}, {"pattern": "dotted"}, {"brand": "Marlo"}]
)
def test_every_visible_attribute_changes_the_image(change):
    assert (image() != image(**change)).any()


def test_two_items_alike_have_images_that_differ():
    assert (image(seed=1) != image(seed=2)).any()


def test_marks_of_brands_all_differ():
    assert len(set(MARKS.values())) == len(MARKS)


def test_an_unknown_pattern_is_refused():
    with pytest.raises(ValueError, match="but is 'tartan'"):
        draw_pattern("tartan", (0, 0, 0), 20)
