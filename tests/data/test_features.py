import numpy as np
import pytest

from flatrec.data.features import Features, align


def test_float64_becomes_float32():
    assert Features.from_array(np.ones((2, 3)), 2, "image").values.dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_value_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="image: features must be finite, but 1 of 2 rows"):
        Features.from_array(np.array([[1.0, bad], [0.0, 1.0]]), 2, "image")


def test_another_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="image has 2 rows, the data set has 3 items"):
        Features.from_array(np.ones((2, 3)), 3, "image")


@pytest.mark.parametrize("values", [np.ones(3), np.array([["a"]]), np.ones((2, 0))])
def test_what_is_no_numeric_matrix_is_refused(values):
    with pytest.raises(ValueError, match="matrix"):
        Features.from_array(values, len(values), "image")


def test_rows_follow_the_items_and_absent_items_are_missing():
    one = align(["b", "x", "a"], np.array([[2.0], [9.0], [1.0]], dtype=np.float32), ["a", "b", "c"], "text")
    assert one.values.tolist() == [[1], [2], [0]]
    assert one.present.tolist() == [True, True, False]
    assert one.impute("mean").tolist() == [[1], [2], [1.5]]
    assert one.impute("zero").tolist() == [[1], [2], [0]]


def test_repeated_and_unknown_ids_are_refused():
    rows = np.ones((2, 1), dtype=np.float32)
    with pytest.raises(ValueError, match="1 repeated item ids"):
        align(["a", "a"], rows, ["a"], "text")
    with pytest.raises(ValueError, match="text has no row for any of the 1 items"):
        align(["a", "b"], rows, ["c"], "text")


def test_rows_of_missing_items_are_ignored_even_when_not_finite():
    one = Features(np.array([[np.nan], [3.0]], dtype=np.float32), np.array([False, True]))
    assert one.values.tolist() == [[0], [3]]
    assert one.impute().tolist() == [[3], [3]]


def test_a_modality_that_all_items_lack_is_filled_with_zeros():
    one = Features(np.ones((2, 1), dtype=np.float32), np.zeros(2, dtype=bool))
    assert one.impute("mean").tolist() == [[0], [0]]
