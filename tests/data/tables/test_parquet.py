"""Folders of Parquet parts, and damaged files."""

import datetime
import decimal

import numpy as np
import polars as pl
import pytest

from flatrec.data.items import read_items
from flatrec.data.loading import load_data
from flatrec.data.summary import summarize
from flatrec.data.tables.feature_files import FeatureSource, read_features
from flatrec.data.tables.parquet import silent_panics

CLICKS = pl.DataFrame({"user": [f"u{n // 5}" for n in range(30)], "item": [n % 5 for n in range(30)]})


def spark(folder, table, name):
    """A folder as Spark writes it."""
    place = folder / name
    place.mkdir()
    half = len(table) // 2
    for number, part in enumerate((table[:half], table[half:], table[:0])):
        part.write_parquet(place / f"part-0000{number}-ab.c000.snappy.parquet")
        (place / f".part-0000{number}-ab.c000.snappy.parquet.crc").write_bytes(b"crc")
    (place / "_SUCCESS").touch()
    (place / "._SUCCESS.crc").touch()
    return place


@pytest.mark.parametrize("name", ["clicks.parquet", "clicks"])
def test_a_folder_of_parts_is_one_table(tmp_path, name):
    data = load_data(spark(tmp_path, CLICKS, name))
    assert (data.name, data.n_users, data.n_items, len(data.interactions)) == ("clicks", 6, 5, 30)


def test_parts_are_read_wherever_a_table_is(tmp_path):
    spark(tmp_path, CLICKS, "clicks.parquet")
    spark(tmp_path, pl.DataFrame({"id": range(5), "name": list("abcde")}), "items.parquet")
    spark(tmp_path, pl.DataFrame({"id": range(5), "x": [float(n) for n in range(5)]}), "image.parquet")
    np.save(tmp_path / "text.npy", np.ones((5, 2)))
    (tmp_path / "dataset.toml").write_text(
        'interactions = "clicks.parquet"\n[items]\nfile = "items.parquet"\ntitle_column = "name"\n'
        '[features.image]\nfile = "image.parquet"\n[features.text]\nfile = "text.npy"\nids = "items.parquet"\n'
    )
    data = load_data(tmp_path)
    assert data.titles == tuple("abcde")
    assert data.features["image"].values[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert data.features["text"].present.all()
    assert read_items(tmp_path / "items.parquet").ids == tuple("01234")


def test_folders_named_by_a_value_are_a_column(tmp_path):
    for number in range(3):
        part = tmp_path / "clicks.parquet" / f"split={number}"
        part.mkdir(parents=True)
        CLICKS[number * 10 : number * 10 + 10].write_parquet(part / "part-0.parquet")
    assert np.bincount(load_data(tmp_path / "clicks.parquet").interactions.splits).tolist() == [10, 10, 10]


def test_a_folder_without_parts_is_refused(tmp_path):
    (tmp_path / "clicks.parquet").mkdir()
    with pytest.raises(FileNotFoundError, match=r"is a folder without Parquet files; expected part-\*\.parquet in it"):
        load_data(tmp_path / "clicks.parquet")


def test_a_damaged_file_is_one_line_and_nothing_else_on_standard_error(tmp_path, capfd):
    path = tmp_path / "clicks.parquet"
    CLICKS.write_parquet(path)
    content = path.read_bytes()
    messages = []
    for bit in range(0, 8 * len(content), 61):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            load_data(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 10
    assert not [message for message in messages if "\n" in message or len(message) > 500]
    assert capfd.readouterr().err == ""


def test_what_others_say_while_a_table_is_read_is_passed_on(capfd):
    import os

    with silent_panics():
        os.write(2, b"progress\n")
    assert capfd.readouterr().err == "progress\n"
    with pytest.raises(pl.exceptions.PanicException), silent_panics():  # noqa: PT012
        os.write(2, b"thread panicked\n")
        raise pl.exceptions.PanicException("unwrap")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ([100.0, 101.0], ("100", "101")),
        (pl.Series([100, 101], dtype=pl.Float32), ("100", "101")),
        ([decimal.Decimal("100"), decimal.Decimal("101")], ("100", "101")),
        ([decimal.Decimal("100.00"), decimal.Decimal("101.00")], ("100", "101")),
        (["100.0", "101.00"], ("100", "101")),
        ([" 100", "101\t"], ("100", "101")),
        (["v1.0", "1.5"], ("v1.0", "1.5")),
    ],
)
def test_whole_numbers_are_the_same_ids_in_every_type(tmp_path, values, ids):
    pl.DataFrame({"id": values, "name": ["a", "b"]}).write_parquet(tmp_path / "items.parquet")
    assert read_items(tmp_path / "items.parquet").ids == ids


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.5, 2.0], "column 'id' of numbers with a decimal point; ids and names must be text or whole numbers"),
        ([1.0, float("inf")], "column 'id' of numbers with a decimal point; ids"),
        ([2.0**53, 1.0], "of numbers with a decimal point too large to be exact"),
        ([True, False], "column 'id' of truth values; ids"),
        ([decimal.Decimal("1.50"), decimal.Decimal("2.00")], r"column 'id' of numbers with a decimal point; ids"),
        ([datetime.date(2020, 1, 1)] * 2, "column 'id' of dates; ids"),
        ([1.0, float("nan")], "1 of 2 rows without an item id, the first in row 2"),
        ([1.0, None], "1 of 2 rows without an item id, the first in row 2"),
    ],
)
def test_what_is_no_id_is_refused_by_the_name_that_the_file_has(tmp_path, values, said):
    pl.DataFrame({"id": values, "name": ["a", "b"]}).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(ValueError, match=said):
        read_items(tmp_path / "items.parquet")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Unnamed: 0",
        "Unnamed: 0.1",
        "Unnamed: 0.1.1",
        "Unnamed: 12",
        "index",
        "level_0",
        "__index_level_0__",
        "__index_level_12__",
    ],
)
@pytest.mark.parametrize("ending", [".parquet", ".csv", ".tsv"])
@pytest.mark.parametrize("lists", [False, True])
def test_row_numbers_are_no_features(tmp_path, name, ending, lists):
    if lists and ending != ".parquet":
        pytest.skip("lists are for Parquet")
    values = {"v": [[1.0, 2.0], [3.0, 4.0]]} if lists else {"x": [1.0, 3.0], "y": [2.0, 4.0]}
    table = pl.DataFrame({name: [0, 1], "sku": ["a", "b"], **values})
    path = tmp_path / f"image{ending}"
    if ending == ".parquet":
        table.write_parquet(path)
    else:
        table.write_csv(path, separator="\t" if ending == ".tsv" else ",")
    found = read_features(FeatureSource(path))
    assert (list(found.ids), found.values.tolist()) == (["a", "b"], [[1, 2], [3, 4]])
    shown = f"[{name!r}]" if name else "a column without a name"
    assert next(found.cleaning_report.sentences()) == (
        f"image{ending}: the row numbers in {shown} are not features; left out"
    )


@pytest.mark.parametrize("values", [[1, 0], [1, 2], [0.0, 0.5], [0, 0]])
def test_an_index_that_does_not_count_the_rows_is_a_feature(tmp_path, values):
    pl.DataFrame({"index": values, "sku": ["a", "b"], "x": [1.0, 3.0]}).write_csv(tmp_path / "image.csv")
    found = read_features(FeatureSource(tmp_path / "image.csv"))
    assert found.values.tolist() == [[values[0], 1], [values[1], 3]]
    assert list(found.cleaning_report.sentences()) == []


def test_columns_of_row_numbers_without_names_are_counted(tmp_path):
    (tmp_path / "image.csv").write_text(",,Unnamed: 0.1,sku,x\n0,0,0,a,1\n1,1,1,b,3\n")
    found = read_features(FeatureSource(tmp_path / "image.csv"))
    assert found.values.tolist() == [[1], [3]]
    assert next(found.cleaning_report.sentences()) == (
        "image.csv: the row numbers in 2 columns without a name and ['Unnamed: 0.1'] are not features; left out"
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([datetime.date(2020, 1, 1)] * 2, "column 'added' holds dates, which are not numbers"),
        ([datetime.datetime(2020, 1, 1)] * 2, "column 'added' holds dates and times, which"),
        ([datetime.timedelta(1)] * 2, "column 'added' holds durations, which"),
        ([True, False], "column 'added' holds truth values, which"),
        ([b"a", b"b"], "column 'added' holds bytes, which"),
        (["2020-01-01", "1"], "column 'added' has 1 of 2 values that are not numbers, e.g. '2020-01-01'"),
        ([[True], [False]], "column of lists 'added' holds truth values, which"),
        ([[datetime.date(2020, 1, 1)]] * 2, "column of lists 'added' holds dates, which"),
        ([datetime.time(1)] * 2, "column 'added' holds times of day, which"),
        ([{"a": 1}, {"a": 2}], "column 'added' holds groups of named values, which"),
    ],
)
def test_a_column_that_holds_no_numbers_is_refused_by_its_name(tmp_path, values, said):
    table = {"sku": ["a", "b"], "added": values} | ({} if isinstance(values[0], list) else {"x": [1.0, 2.0]})
    pl.DataFrame(table).write_parquet(tmp_path / "image.parquet")
    with pytest.raises(ValueError, match=rf"image\.parquet .*{said}.*; leave the column out, or write it as numbers"):
        read_features(FeatureSource(tmp_path / "image.parquet"))


@pytest.mark.parametrize("word", ["true", "2020-01-01", "x"])
def test_a_text_table_of_features_holds_numbers_alone(tmp_path, word):
    (tmp_path / "image.csv").write_text(f"sku,x,flag\na,1,{word}\nb,2,\n")
    with pytest.raises(ValueError, match=rf"'flag' has 1 of 2 values that are not numbers, e\.g\. '{word}'"):
        read_features(FeatureSource(tmp_path / "image.csv"))


def test_columns_that_are_not_needed_are_not_read(tmp_path):
    """The bytes of another column are overwritten: reading them would fail, as it does if the column is named."""
    path = tmp_path / "clicks.parquet"
    notes = pl.DataFrame({"note": [f"{n} a note that is long and compressed" * 20 for n in range(len(CLICKS))]})
    CLICKS.hstack(notes).write_parquet(path, compression="zstd")
    content = bytearray(path.read_bytes())
    note = content.rfind(b"\x28\xb5\x2f\xfd")  # the last block that zstd compressed
    assert note > 0
    content[note : note + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="zstd error"):
        read_features(FeatureSource(path))
    assert len(summarize(load_data(path)).splits) == 3
