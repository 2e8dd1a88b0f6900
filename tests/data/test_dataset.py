import numpy as np
import pytest

from flatrec.data.dataset import Dataset
from flatrec.data.features import checked
from flatrec.data.ids import Ids
from flatrec.data.interactions import Interactions


def dataset(order=(0, 1, 2), **fields):
    order = list(order)
    users, items, parts = (np.array(column)[order] for column in ([0, 0, 1], [0, 1, 1], [0, 2, 0]))
    pairs = Interactions(users.astype(np.int32), items.astype(np.int32), parts.astype(np.int8), 2, 2)
    given = {"users": Ids("user", ["u", "v"]), "items": Ids("item", ["a", "b"])} | fields
    return Dataset("tiny", pairs, **given)


def test_the_fingerprint_does_not_depend_on_the_order_of_pairs():
    assert dataset().fingerprint == dataset((2, 0, 1)).fingerprint


def test_the_fingerprint_tells_ids_and_features_apart():
    image = {"image": checked(np.ones((2, 1)), 2, "image")}
    others = [dataset(items=Ids("item", ["a", "c"])), dataset().with_features(image)]
    assert len({dataset().fingerprint, *(one.fingerprint for one in others)}) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"users": Ids("user", ["u"])}, "1 user ids for 2 users"),
        ({"items": Ids("item", ["a"])}, "item ids has 1 rows"),
        ({"titles": ("A",)}, "titles has 1 rows"),
        ({"pictures": (None,)}, "pictures has 1 rows"),
        ({"features": {"image": checked(np.ones((3, 1)), 3, "image")}}, r'features\["image"\] has 3 rows'),
    ],
)
def test_parts_of_different_sizes_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        dataset(**fields)


def test_features_cannot_be_exchanged_in_place():
    with pytest.raises(TypeError):
        dataset().features["image"] = checked(np.ones((2, 1)), 2, "image")
