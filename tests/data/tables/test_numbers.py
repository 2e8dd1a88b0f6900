from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flatrec.data.tables.files import Table, TableRows, scan
from flatrec.data.tables.numbers import as_numbers, as_weights, parse_numbers
from flatrec.data.tables.text import Layout


def rows_of(values, dtype=None):
    frame = pl.DataFrame({"n": pl.Series(values, dtype=dtype)})
    return TableRows(Table(Path("log.parquet"), frame.lazy(), ["n"]), frame, {"number": "n"}, np.arange(len(frame)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,5", 1.5), ("1.234,50", 1234.5), ("1.234", 1234.0), ("-2", -2.0), ("+0,25", 0.25),
        (" 12.345.678,9", 12345678.9),
        ("1.5", None), ("1,234.5", None), ("1.2345", None), ("12.34,5", None), (",5", None), ("1e3", None), ("", None),
    ],
)  # fmt: skip
def test_a_decimal_comma_and_dots_between_thousands_are_read(text, expected):
    assert parse_numbers(pl.Series([text]), ",").to_list() == [expected]


@pytest.mark.parametrize(("text", "expected"), [("1.5", 1.5), ("1e3", 1000.0), ("1,5", None), ("x", None)])
def test_a_decimal_dot_is_the_default(text, expected):
    assert parse_numbers(pl.Series([text]), ".").to_list() == [expected]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, None], pl.Int32, [1.0, None]),
        ([1.5, float("nan")], pl.Float32, [1.5, None]),
        ([Decimal("1.50")], None, [1.5]),
        (["2", " ", None], pl.String, [2.0, None, None]),
        (["2"], pl.Categorical, [2.0]),
        ([None], pl.Null, [None]),
    ],
)
def test_columns_of_numbers_are_read_and_empty_cells_are_null(values, dtype, expected):
    assert as_numbers(rows_of(values, dtype), "number").to_list() == expected


def test_what_is_no_number_is_refused_by_its_line(tmp_path):
    (tmp_path / "log.csv").write_text("n;x\n1,5;a\n;b\n2.5;c\n")
    rows = scan(tmp_path / "log.csv", Layout(decimal=",")).select({"number": "n"})
    message = r"log\.csv has column 'n' with 1 of 3 values that are no numbers, the first, '2\.5', in line 4; write it"
    with pytest.raises(ValueError, match=message):
        as_numbers(rows, "number")
    with pytest.raises(ValueError, match=r"'1,5', in line 2; .* set decimal = \",\" in dataset\.toml"):
        as_numbers(scan(tmp_path / "log.csv").select({"number": "n"}), "number")
    with pytest.raises(ValueError, match="values that are no numbers, the first, inf, in row 1"):
        as_numbers(rows_of([float("inf")]), "number")
    with pytest.raises(ValueError, match="column 'n' of truth values; expected numbers"):
        as_numbers(rows_of([True]), "number")


def test_texts_in_parquet_have_the_decimal_mark_of_the_description(tmp_path):
    pl.DataFrame({"n": ["1.234,5"]}).write_parquet(tmp_path / "log.parquet")
    rows = scan(tmp_path / "log.parquet", Layout(decimal=",")).select({"number": "n"})
    assert as_numbers(rows, "number").to_list() == [1234.5]


@pytest.mark.parametrize(("bad", "shown"), [(0.0, "0.0"), (-1.0, "-1.0"), (None, "an empty cell")])
def test_weights_are_above_zero(bad, shown):
    assert as_weights(rows_of([0.5, 2.0]), "number").to_list() == [0.5, 2.0]
    with pytest.raises(ValueError, match=f"1 of 2 values that are not above 0, the first, {shown}, in row 2; give"):
        as_weights(rows_of([1.0, bad]), "number")


def test_a_decimal_mark_is_a_dot_or_a_comma():
    with pytest.raises(ValueError, match="decimal must be '.' or ',', but is ';'"):
        Layout(decimal=";")
