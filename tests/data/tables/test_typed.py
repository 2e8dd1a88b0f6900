from datetime import UTC, date, datetime

import polars as pl
import pytest

from flatrec.data.tables.files import scan
from flatrec.data.tables.text import Layout
from flatrec.data.tables.typed import typed_columns


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-20", ""], pl.Int64, [1, -20, None]),
        (["1,5", "1.000", ""], pl.Float64, [1.5, 1000.0, None]),
        (["true", "False", ""], pl.Boolean, [True, False, None]),
        (["2024-01-31", "", "1999-12-31"], pl.Date, [date(2024, 1, 31), None, date(1999, 12, 31)]),
        (["2024-01-31T10:00+01:00", ""], pl.Datetime("us", "UTC"), [datetime(2024, 1, 31, 9, tzinfo=UTC), None]),
        (["007", "12"], pl.String, ["007", "12"]),
        (["1", "x"], pl.String, ["1", "x"]),
        (["2024-01-31", "soon"], pl.String, ["2024-01-31", "soon"]),
        ([" red ", ""], pl.String, ["red", None]),
        (["", ""], pl.String, [None, None]),
    ],
)
def test_the_cells_of_a_text_column_decide_its_type(tmp_path, cells, kind, values):
    (tmp_path / "items.csv").write_text("id;x\n" + "".join(f"{row};{cell}\n" for row, cell in enumerate(cells)))
    rows = scan(tmp_path / "items.csv", Layout(decimal=",")).select({"id": "id", "x": "x"})
    column = typed_columns(rows, ["x"])["x"]
    assert (column.dtype, column.to_list()) == (kind, values)


def test_columns_of_parquet_keep_their_types(tmp_path):
    table = pl.DataFrame({"a": [1, None], "b": [True, None], "c": [date(2024, 1, 31), None], "d": ["007", None]})
    table = table.with_columns(pl.col("d").cast(pl.Categorical).alias("e"))
    table.write_parquet(tmp_path / "items.parquet")
    columns = typed_columns(scan(tmp_path / "items.parquet").select({name: name for name in "abcde"}), "abcde")
    assert columns.dtypes == [pl.Int64, pl.Boolean, pl.Date, pl.String, pl.String]
    assert columns.rows() == [(1, True, date(2024, 1, 31), "007", "007"), (None,) * 5]


def test_lists_are_no_columns_of_items(tmp_path):
    pl.DataFrame({"a": [[1]]}).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(ValueError, match="column 'a' of lists; columns of items are numbers, texts, dates or true and"):
        typed_columns(scan(tmp_path / "items.parquet").select({"a": "a"}), ["a"])
