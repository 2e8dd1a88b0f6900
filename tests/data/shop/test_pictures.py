import numpy as np
import pytest

from flatrec.data.shop.catalogue import ATTRIBUTES, MATERIALS_OF_KIND
from flatrec.data.shop.images import INK, MARKS, SIZE, TRIM, draw_picture
from flatrec.data.shop.patterns import patterned
from flatrec.data.shop.silhouettes import SILHOUETTES

ITEM = {
    "kind": "mug",
    "colour": "blue",
    "material": "ceramic",
    "pattern": "striped",
    "price": "budget",
    "brand": "Nordby",
}


def picture(seed: int = 0, **changes: str) -> np.ndarray:
    return np.asarray(draw_picture(ITEM | changes, np.random.default_rng(seed)), dtype=np.int64)


def test_there_is_a_picture_an_item_of_the_right_size(drawn, undrawn):
    assert undrawn.pictures is None
    assert len(drawn.pictures) == 240
    assert {(one.size, one.mode) for one in drawn.pictures} == {((SIZE, SIZE), "RGB")}


def test_every_value_can_be_drawn():
    assert set(SILHOUETTES) == set(MATERIALS_OF_KIND) == set(ATTRIBUTES["kind"])
    assert set(INK) == set(ATTRIBUTES["colour"])
    assert set(TRIM) == set(ATTRIBUTES["material"])
    assert set(MARKS) == set(ATTRIBUTES["brand"])


@pytest.mark.parametrize(
    "change",
    [{"kind": "lamp"}, {"colour": "red"}, {"material": "glass"}, {"pattern": "dotted"}, {"brand": "Marlo"}],
)
def test_every_visible_attribute_changes_the_picture(change):
    assert (picture() != picture(**change)).any()


def test_two_items_alike_have_pictures_that_differ():
    assert (picture(seed=1) != picture(seed=2)).any()


def test_marks_of_brands_all_differ():
    assert len(set(MARKS.values())) == len(MARKS)


def test_an_unknown_pattern_is_refused():
    with pytest.raises(ValueError, match="but is 'tartan'"):
        patterned("tartan", (0, 0, 0), 20)
