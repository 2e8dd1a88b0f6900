"""Columns of pandas, whatever their type, are those of polars."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from flatrec.data.dataset import Dataset
from flatrec.data.frames.tables import as_table

pd = pytest.importorskip("pandas")


def read(values, name="x"):
    """A column of pandas, as it is read."""
    return as_table(pd.DataFrame({name: values}), "interactions").select({name: name})[name]


def by_arrow(values, kind):
    pyarrow = pytest.importorskip("pyarrow")
    return pd.Series(values, dtype=pd.ArrowDtype(kind(pyarrow)))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series(["a", None]), ["a", None]),
        (pd.Series(["a", np.nan], dtype=object), ["a", None]),
        (pd.Series(["a", pd.NA], dtype="string"), ["a", None]),
        (pd.Series(["b", None, "a"], dtype="category"), ["b", None, "a"]),
        (pd.Series([7, None, 5], dtype="Int64").astype("category"), [7, None, 5]),
        (pd.Series([2**60 + 1, pd.NA], dtype="Int64"), [2**60 + 1, None]),
        (pd.Series([2**63 + 1, pd.NA], dtype="UInt64"), [2**63 + 1, None]),
        (pd.Series([True, pd.NA], dtype="boolean"), [True, None]),
        (pd.Series([1.5, pd.NA], dtype="Float64"), [1.5, None]),
        (pd.Series([1, 2], dtype="uint8"), [1, 2]),
        (pd.Series([date(2024, 2, 29), None], dtype=object), [date(2024, 2, 29), None]),
        (pd.Series([None, None], dtype=object), [None, None]),
        (pd.Series([[1.0, 2.0], None, [3.0, 4.0]]), [[1.0, 2.0], None, [3.0, 4.0]]),
        (pd.Series([np.array([1, 2]), np.array([3])]), [[1, 2], [3]]),
    ],
)
def test_values_and_missing_values_stay_what_they_are(column, expected):
    assert read(column).to_list() == expected


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["a", None], lambda pa: pa.string(), ["a", None]),
        ([2**60 + 1, None], lambda pa: pa.int64(), [2**60 + 1, None]),
        ([True, None], lambda pa: pa.bool_(), [True, None]),
        ([date(2024, 2, 29), None], lambda pa: pa.date32(), [date(2024, 2, 29), None]),
        (["a", None, "a"], lambda pa: pa.dictionary(pa.int32(), pa.string()), ["a", None, "a"]),
        (
            [datetime(2024, 2, 29), None],
            lambda pa: pa.timestamp("ns", "UTC"),
            [datetime(2024, 2, 29, tzinfo=UTC), None],
        ),
    ],
)
def test_columns_of_pandas_that_arrow_holds_are_read(values, kind, expected):
    assert read(by_arrow(values, kind)).to_list() == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_are_read_in_every_unit_and_zone(unit):
    times = pd.Series(["2024-07-01 02:00", None]).astype(f"datetime64[{unit}]")
    assert read(times).to_list() == [datetime(2024, 7, 1, 2), None]
    berlin = read(times.dt.tz_localize("Europe/Berlin"))  # two hours before UTC in summer
    assert berlin.to_list() == [datetime(2024, 7, 1, 0, tzinfo=UTC), None]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["a", "b", None, 3], "mixed values (text in row 0, but a whole number in row 3, counted from 0)"),
        (
            [None, 1, 2.5],
            "mixed values (a whole number in row 1, but a number with a decimal point in row 2, counted from 0)",
        ),
        ([None, {"a": 1}], "Python objects (an object of type dict in row 1, counted from 0)"),
        ([{1}, {2}], "Python objects (an object of type set in row 0, counted from 0)"),
        (pd.period_range("2024", periods=2), "Python objects (an object of type Period in row 0, counted from 0)"),
        ([[1], [2]], "lists"),
        ([1.5, 2.5], "numbers with a decimal point"),
        ([True, False], "truth values"),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), "dates and times"),
    ],
)
def test_a_column_that_holds_no_ids_is_described(values, words):
    if isinstance(values, list):
        values = pd.Series(values, dtype=object)
    frame = pd.DataFrame({"user": ["u"] * len(values), "item": values})
    with pytest.raises(ValueError, match="ids and names must be text or whole numbers") as caught:
        Dataset.from_frames(frame)
    assert str(caught.value).startswith(f"the frame of interactions has column 'item' of {words};")


def test_floats_that_pandas_makes_of_whole_ids_are_whole_ids():
    frame = pd.DataFrame({"user": ["a", "b", "c"], "item": [100.0, 7.0, 100.0]})
    assert list(Dataset.from_frames(frame).items) == ["7", "100"]
    frame.loc[1, "item"] = np.nan
    message = "^the frame of interactions has 1 of 3 interactions without item id, the first in row 1, counted from 0;"
    with pytest.raises(ValueError, match=message):
        Dataset.from_frames(frame)


def test_missing_ids_are_refused_in_every_type_of_pandas():
    for values in (
        pd.Series([1, pd.NA, 3], dtype="Int64"),
        pd.Series(["a", None, "b"], dtype="category"),
        ["a", pd.NA, "b"],
    ):
        with pytest.raises(ValueError, match="has 1 of 3 interactions without user id, the first in row 1"):
            Dataset.from_frames(pd.DataFrame({"user": values, "item": [1, 2, 3]}))


def test_an_index_that_may_hold_the_ids_is_named():
    frame = pd.DataFrame({"user": ["a", "b"], "item": [1, 2]})
    assert Dataset.from_frames(frame.set_index(pd.Index([8, 9], name="order"))).n_users == 2
    message = (
        "^the frame of interactions has no column 'user' or similar, but an index named 'user', which is no column"
    )
    with pytest.raises(ValueError, match=message):
        Dataset.from_frames(frame.set_index("user"))
    vectors = pd.DataFrame(np.eye(2), index=["1", "2"])
    message = "image features has no column 'item' or similar, but an index with values such as '1', which is no column"
    with pytest.raises(ValueError, match=message):
        Dataset.from_frames(frame, features={"image": vectors})
    named = vectors.rename_axis("item").reset_index()  # its other columns are named by numbers
    assert Dataset.from_frames(frame, features={"image": named}).features["image"].values.tolist() == [[1, 0], [0, 1]]
    assert Dataset.from_frames(frame, features={"image": (vectors.index, np.eye(2))}).features["image"].width == 2


def test_names_of_several_levels_are_refused():
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "user"), ("a", "item")]))
    with pytest.raises(
        ValueError, match=r"has columns of 2 levels, such as \('a', 'user'\); give each column one name"
    ):
        Dataset.from_frames(frame)


def test_pandas_is_read_without_pyarrow(monkeypatch):
    frame = pd.DataFrame({"user": ["a", "b"], "item": pd.Series([1, 2], dtype="Int64"), "split": ["train", "test"]})
    frame = frame.astype({"user": object, "split": "category"})
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # an import of it raises
    assert Dataset.from_frames(frame).to_frame().rows() == [("a", "1", "train"), ("b", "2", "test")]


def test_a_frame_of_polars_and_one_of_pandas_agree_on_lists():
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    frame = pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"]})
    other = pd.DataFrame({"item": ["x", "y"], "vector": list(vectors)})
    dataset = Dataset.from_frames(frame, features={"image": other})
    assert dataset.features["image"].values.tolist() == vectors.tolist()
