"""Ids that a caller gives."""

import numpy as np
import polars as pl
import pytest

from flatrec.inference.candidates import id_tuple


@pytest.mark.parametrize(
    "ids", [["a", "b"], ("a", "b"), np.array(["a", "b"]), pl.Series(["a", "b"]), {"a": 1, "b": 2}.keys()]
)
def test_ids_are_texts_of_python_in_their_order(ids):
    listed = id_tuple("items", ids)
    assert listed == ("a", "b")
    assert {type(one) for one in listed} == {str}


def test_an_iterator_is_read_once():
    assert id_tuple("items", iter(["b", "a"])) == ("b", "a")


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ("mug", r"items must be a sequence of ids, not one text; write \['mug'\]"),
        (5, "items must be a sequence of ids, but is 5"),
        (b"mug", "items must be a sequence of ids, but is b'mug'"),
        ({"mug": 1}, "items must be a sequence of ids, but is {'mug': 1}"),
        (["mug", 7], "items must have ids as texts, but has 7; write '7'"),
        ([None], "items must have ids as texts, but has None"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(ids, said):
    with pytest.raises(TypeError, match=said):
        id_tuple("items", ids)
