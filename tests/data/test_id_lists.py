"""Lists of ids in text files and tables."""

from __future__ import annotations

import gzip

import polars as pl
import pytest

from flatrec.data.id_lists import read_ids, read_item_lists


def test_a_text_file_has_one_id_per_line(tmp_path):
    (tmp_path / "ids.txt").write_bytes("\ufeffu1\r\n\r\n  u2 \nu1\nü,3\n".encode())
    assert read_ids(tmp_path / "ids.txt", "user") == ("u1", "u2", "u1", "ü,3")


@pytest.mark.parametrize("name", ["ids.csv", "ids.tsv", "ids.parquet", "ids.csv.gz"])
def test_a_table_has_a_column_of_ids(tmp_path, name):
    frame = pl.DataFrame({"price": [1, 2], "Customer_ID": [7, 12], "sku": ["a", "b"]})
    path = tmp_path / name
    if name.endswith("parquet"):
        frame.write_parquet(path)
    else:
        text = frame.write_csv(separator="\t" if name.endswith("tsv") else ",").encode()
        path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert read_ids(path, "user") == ("7", "12")
    assert read_ids(path, "item") == ("a", "b")


def test_a_table_of_users_and_items_lists_items_by_user(tmp_path):
    (tmp_path / "sold.csv").write_text("user,item\nu1,a\nu2,b\nu1,c\n")
    assert read_item_lists(tmp_path / "sold.csv") == {"u1": ["a", "c"], "u2": ["b"]}
    (tmp_path / "gone.csv").write_text("item\na\nb\n")
    assert read_item_lists(tmp_path / "gone.csv") == ("a", "b")
    (tmp_path / "gone.txt").write_text("a\nb\n")
    assert read_item_lists(tmp_path / "gone.txt") == ("a", "b")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ids.txt", b"\n \n", "is empty; expected one user id per line"),
        ("ids.txt", b"\xff\xfe", r"byte 0 is not UTF-8 text"),
        ("ids.csv", b"u1\nu2\n", r"has no column of user ids; its columns are \['u1'\]"),
        ("ids.csv", b"user\n", "is empty"),
        ("ids.csv", b"user,age\n,3\nu2,4\n", "1 of 2 rows without a user id"),
        ("ids.parquet", b"no parquet", "ids.parquet"),
    ],
)
def test_malformed_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_ids(tmp_path / name, "user")


@pytest.mark.parametrize("name", ["missing.txt", "missing.csv", "missing.parquet"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=name):
        read_ids(tmp_path / name, "user")
