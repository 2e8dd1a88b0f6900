"""A table of items is read, changed and written back."""

from __future__ import annotations

import polars as pl
import pytest

from flatrec.data.items import read_items


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "items.csv").write_text(
        'sku,title,about,price\n7,Cup,"A cup, blue",3.50\n007,Bowl,,2\nx,Ёлка,"line\nbreak",\n'
    )
    return tmp_path / "items.csv"


def test_ids_keep_their_order_and_spelling(shop):
    table = read_items(shop)
    assert table.ids == ("7", "007", "x")
    assert table.column("about") == {"7": "A cup, blue", "007": None, "x": "line\nbreak"}


def test_columns_are_joined_without_empty_ones(shop):
    assert read_items(shop, "sku").join_columns(["title", "about"]) == {
        "7": "Cup A cup, blue",
        "007": "Bowl",
        "x": "Ёлка line\nbreak",
    }


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_a_changed_column_is_written_in_its_place_and_all_else_stays(shop, tmp_path, ending):
    table = read_items(shop).with_column("about", {"7": 'new, "text"', "x": "a\nb"})
    table.write(tmp_path / f"out.{ending}")
    again = read_items(tmp_path / f"out.{ending}")
    assert again.frame.columns == ["sku", "title", "about", "price"]
    assert again.column("about") == {"7": 'new, "text"', "007": None, "x": "a\nb"}
    assert again.column("price") == {"7": "3.50", "007": "2", "x": None}
    assert again.ids == table.ids


def test_lists_need_parquet(tmp_path):
    pl.DataFrame({"id": [1], "tags": [["a"]]}).write_parquet(tmp_path / "items.parquet")
    table = read_items(tmp_path / "items.parquet")
    table.write(tmp_path / "out.parquet")
    with pytest.raises(
        ValueError, match=r"cannot hold the lists or bytes of column 'tags'; choose a name that ends in \.parquet"
    ):
        table.write(tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sku,a\n1,x\n1,y\n", "has 2 rows that share their sku"),
        ("sku,a\n1,x\n,y\n", "has 1 of 2 rows without an item id"),
        ("code,a\n1,x\n", "no column of item ids"),
        ("sku,a\n", "is empty"),
        ("", "empty first line"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, text, said):
    (tmp_path / "items.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_items(tmp_path / "items.csv")


def test_columns_that_are_not_there_are_named(shop):
    with pytest.raises(ValueError, match=r"has no column 'text'; its columns are \['sku'"):
        read_items(shop).column("text")
    with pytest.raises(ValueError, match="has no column 'asin'"):
        read_items(shop, "asin")


def test_another_ending_is_refused(shop, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.csv, \.tsv or \.parquet"):
        read_items(shop).write(tmp_path / "out.xlsx")
