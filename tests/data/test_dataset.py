import numpy as np
import pytest

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary


def dataset(order=(0, 1, 2), **fields):
    order = list(order)
    users, items, parts = (np.array(column)[order] for column in ([0, 0, 1], [0, 1, 1], [0, 2, 0]))
    interactions = Interactions(users.astype(np.int32), items.astype(np.int32), parts.astype(np.int8), 2, 2)
    given = {"users": Vocabulary("user", ["u", "v"]), "items": Vocabulary("item", ["a", "b"])} | fields
    return Dataset("tiny", interactions, **given)


def test_the_fingerprint_does_not_depend_on_the_order_of_interactions():
    assert dataset().fingerprint == dataset((2, 0, 1)).fingerprint


def test_the_fingerprint_tells_ids_and_features_apart():
    image = {"image": Features.from_array(np.ones((2, 1)), 2, "image")}
    others = [dataset(items=Vocabulary("item", ["a", "c"])), dataset().with_features(image)]
    assert len({dataset().fingerprint, *(one.fingerprint for one in others)}) == 3


def test_ids_that_hold_any_separator_are_told_apart():
    splits = [["a\x1fb", "c"], ["a", "b\x1fc"], ["ab", "c"], ["a", "bc"], ["", "abc"]]
    assert len({dataset(items=Vocabulary("item", ids)).fingerprint for ids in splits}) == 5
    assert len({dataset(users=Vocabulary("user", ids)).fingerprint for ids in splits}) == 5


def test_an_id_of_an_item_is_none_of_a_user():
    one = dataset(users=Vocabulary("user", ["u", "va"]), items=Vocabulary("item", ["", "b"]))
    assert (
        one.fingerprint
        != dataset(users=Vocabulary("user", ["u", "v"]), items=Vocabulary("item", ["a", "b"])).fingerprint
    )


def test_users_with_test_interactions_alone_are_said():
    interactions = Interactions(np.array([0, 1, 2]), np.array([0, 1, 0]), np.array([0, 2, 1]), 3, 2)
    found = Dataset("tiny", interactions, Vocabulary("user", ["u", "v", "w"]), Vocabulary("item", ["a", "b"]))
    assert [sentence.split(":")[0] for sentence in found.warnings] == [
        "1 of the 1 users with a valid interaction have no training interaction",
        "1 of the 1 users with a test interaction have no training interaction",
        "1 of the 1 items with a test interaction have no training interaction",
    ]
    assert dataset().warnings == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"users": Vocabulary("user", ["u"])}, "1 user ids for 2 users"),
        ({"items": Vocabulary("item", ["a"])}, "item ids has 1 rows"),
        ({"titles": ("A",)}, "titles has 1 rows"),
        ({"images": (None,)}, "images has 1 rows"),
        ({"features": {"image": Features.from_array(np.ones((3, 1)), 3, "image")}}, r'features\["image"\] has 3 rows'),
    ],
)
def test_parts_of_different_sizes_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        dataset(**fields)


def test_features_cannot_be_exchanged_in_place():
    with pytest.raises(TypeError):
        dataset().features["image"] = Features.from_array(np.ones((2, 1)), 2, "image")
