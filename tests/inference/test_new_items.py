"""What is new among encoded items, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from flatrec.data.builder import IndexedFeatures
from flatrec.data.encoded_items import EncodedItems
from flatrec.inference.known_items import KnownItems
from flatrec.inference.new_items import read_new_items
from tests.inference.cold_start.conftest import WIDTHS, data, encoded, new


def test_known_ids_are_left_out_and_features_keep_their_items():
    names = ["a", "item 3", "b", "item 0", "c"]
    lacking = {"image": (2,), "text": (2, 4)}
    given = encoded((0, 1, 2, 0, 1), names=names, lacking=lacking)
    found = read_new_items(given, KnownItems.of(data()), "FOLDER")
    assert (found.ids, found.already_known, found.without_features) == (("a", "c"), ("item 3", "item 0"), ("b",))
    assert found.rows.tolist() == [0, 4]
    rows = given.features["image"]
    np.testing.assert_array_equal(found.features["image"].values, rows.values[[0, 3]].astype(np.float32))
    assert [rows.ids[0], rows.ids[3]] == ["a", "c"]
    assert found.features["text"].present.tolist() == [True, False]


def test_a_folder_may_have_some_of_the_modalities():
    found = new((0, 1), widths={"text": WIDTHS["text"]})
    assert found.ids == ("new 0", "new 1")
    assert not found.features["image"].present.any()
    assert found.features["image"].width == WIDTHS["image"]


def test_a_row_of_zeros_is_no_modality():
    zeros = IndexedFeatures(["a", "b"], np.array([[0.0] * 5, [1.0] * 5]), "text_feat.npy")
    found = read_new_items(EncodedItems(("a", "b"), {"text": zeros}), KnownItems.of(data()), "FOLDER")
    assert (found.ids, found.without_features) == (("b",), ("a",))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: encoded((0,), widths={"text": 7}), r"\(text 7\) than the run was trained on \(image 4, text 5\)"),
        (lambda: encoded((0,), widths={**WIDTHS, "sound": 4}), r"\(image 4, sound 4, text 5\) than"),
        (
            lambda: encoded((0, 1), names=["item 0", "item 9"]),
            r"no new item: all of its 2 ids are in data set 'blocks'",
        ),
        (lambda: encoded((0, 1), lacking=dict.fromkeys(WIDTHS, (0, 1))), "none of the 2 new items .* has a modality"),
        (lambda: encoded((0, 1), names=["a", "a"]), "item ids must be unique"),
        (
            lambda: EncodedItems(("a",), {"text": IndexedFeatures(["a"], np.full((1, 5), np.nan), "text_feat.npy")}),
            "text_feat.npy: features must be finite",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(given, message):
    with pytest.raises(ValueError, match=message) as refused:
        read_new_items(given(), KnownItems.of(data()), "FOLDER")
    assert "\n" not in str(refused.value)
