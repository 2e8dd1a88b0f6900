from datetime import date

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from flatrec.config import SplitSettings
from flatrec.data.formats.table import ItemSource, TableSettings, read, read_tables
from flatrec.data.tables.events import RowSettings
from flatrec.data.tables.feature_files import FeatureSource, read_features
from flatrec.data.tables.text import Layout

ALL = SplitSettings()
CLICKS = "customer,sku,when,fold\nann,mug,1,train\nbob,lamp,2,train\nann,lamp,3,Test\nann,sofa,4,valid\n"


@pytest.fixture
def clicks(tmp_path):
    (tmp_path / "clicks.csv").write_text(CLICKS)
    return tmp_path / "clicks.csv"


def test_any_column_names_are_read(clicks):
    data = read_tables(TableSettings(clicks, user_column="sku", item_column="customer", split=ALL))
    assert (data.name, list(data.users), list(data.items)) == ("clicks", ["lamp", "mug", "sofa"], ["ann", "bob"])


def test_parts_may_be_named_or_numbered(clicks):
    data = read_tables(TableSettings(clicks, split_column="fold"))
    assert data.interactions.splits.tolist() == [2, 0, 1, 0]
    clicks.write_text("user,item,x_label\n1,1,0\n1,2,2\n")
    assert read(clicks).interactions.splits.tolist() == [0, 2]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_seen_from_the_header(clicks, separator):
    clicks.write_text(CLICKS.replace(",", separator))
    assert read_tables(TableSettings(clicks, split=ALL)).n_items == 3


def test_one_file_is_enough_when_its_columns_have_usual_names(tmp_path):
    table = pl.DataFrame({"UserID": [3, 3, 20], "Product_ID": ["a", "b", "a"], "split": ["train", "test", "train"]})
    table.write_parquet(tmp_path / "log.parquet")
    data = read(tmp_path / "log.parquet")
    assert list(data.users) == ["3", "20"]
    table.write_csv(tmp_path / "log.tsv", separator="\t")
    assert read(tmp_path / "log.tsv").fingerprint == data.fingerprint


def test_ids_of_categories_and_marks_of_byte_order_are_read(tmp_path):
    pl.DataFrame({"user": ["u"], "item": ["a"]}).cast(pl.Categorical).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbfuser,item\r\nu,a\r\n")
    for name in ("a.parquet", "b.csv"):
        assert list(read_tables(TableSettings(tmp_path / name, split=ALL)).items) == ["a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "clicks.csv has an empty first line"),
        ("customer,sku\n", "clicks.csv is empty; expected at least one row"),
        ("who,sku\n1,2\n", r"no column of user ids \(named user, .*its columns are \['who', 'sku'\]"),
        ("user,what\n1,2\n", r"no column of item ids .*its columns are \['user', 'what'\]"),
        ("user,item\nu,\nu,a\n", r"clicks\.csv has 1 of 2 interactions without item id, the first in line 2"),
        (
            "user,item,split\nu,a,train\nu,b,soon\n",
            "column 'split' .* the first, 'soon', in line 3; use train, valid, test",
        ),
        ("user,item\nu,a,b\n", "clicks.csv cannot be read as a table"),
        ("user,item\n\xff,a\n", "clicks.csv cannot be read"),
    ],
)
def test_malformed_tables_are_refused_in_one_line(clicks, text, message):
    clicks.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=message) as caught:
        read(clicks)
    assert "\n" not in str(caught.value)


def test_malformed_parquet_and_ids_that_are_fractions_are_refused(tmp_path):
    path = tmp_path / "log.parquet"
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="log.parquet cannot be read"):
        read(path)
    pl.DataFrame({"user": [1.5], "item": ["a"]}).write_parquet(path)
    with pytest.raises(ValueError, match="column 'user' of numbers with a decimal point; ids and names must be text"):
        read(path)


def test_a_missing_column_is_answered_with_the_columns_found(clicks):
    with pytest.raises(ValueError, match=r"no column 'client'; its columns are \['customer', 'sku', 'when', 'fold'\]"):
        read_tables(TableSettings(clicks, user_column="client"))
    with pytest.raises(FileNotFoundError, match="gone.csv is not a file"):
        read(clicks.with_name("gone.csv"))


def test_titles_and_images_come_from_the_items_table(clicks):
    (clicks.parent / "mug.jpg").touch()
    items = clicks.with_name("items.csv")
    items.write_text("sku,name,file\nsofa,Sofa,\nmug,A mug,mug.jpg\nx,X,\n")
    source = ItemSource(items, title_column="name", image_column="file")
    data = read_tables(TableSettings(clicks, items=source, split=ALL))
    assert data.titles == ("lamp", "A mug", "Sofa")
    assert data.images == (None, clicks.with_name("mug.jpg"), None)
    items.write_text("sku,name\nmug,A\nmug,B\n")
    with pytest.raises(ValueError, match="items.csv has 1 rows whose id repeats"):
        read_tables(TableSettings(clicks, items=ItemSource(items, title_column="name"), split=ALL))


def test_every_feature_file_gives_the_same_rows(tmp_path):
    ids, rows = ["b", "a"], np.array([[3, 4], [1, 2]], dtype=np.float32)
    np.save(tmp_path / "f.npy", rows)
    (tmp_path / "ids.txt").write_text("b\na\n")
    (tmp_path / "ids.csv").write_text("x,sku\n1,b\n2,a\n")
    save_file({"values": rows}, tmp_path / "matrix.safetensors")
    save_file(dict(zip(ids, rows, strict=True)), tmp_path / "vectors.safetensors")
    table = pl.DataFrame({"x": rows[:, 0], "sku": ids, "y": rows[:, 1]})
    table.write_parquet(tmp_path / "wide.parquet")
    table.write_csv(tmp_path / "wide.csv")
    lists = pl.DataFrame({"sku": [*ids, "c"], "v": [[3.0, 4.0], [1.0, 2.0], None]})
    lists.write_parquet(tmp_path / "lists.parquet")
    lists.filter(pl.col("v").is_not_null()).cast({"v": pl.Array(pl.Float64, 2)}).write_parquet(
        tmp_path / "arrays.parquet"
    )
    sources = [
        FeatureSource(tmp_path / "f.npy", tmp_path / "ids.txt"),
        FeatureSource(tmp_path / "f.npy", tmp_path / "ids.csv", "sku"),
        FeatureSource(tmp_path / "matrix.safetensors", tmp_path / "ids.csv"),
        *(
            FeatureSource(tmp_path / name)
            for name in ("vectors.safetensors", "wide.parquet", "wide.csv", "lists.parquet", "arrays.parquet")
        ),
    ]
    for source in sources:
        keyed = read_features(source)
        found = dict(zip(keyed.ids, keyed.values.tolist(), strict=True))
        assert found == {"a": [1, 2], "b": [3, 4]}, source


def test_malformed_feature_files_are_refused(tmp_path):
    np.save(tmp_path / "f.npy", np.ones((2, 1)))
    (tmp_path / "ids.txt").write_text("a\n")
    save_file({"a": np.ones(2), "b": np.ones(3)}, tmp_path / "ragged.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    pl.DataFrame({"id": ["a", "b"], "v": [[1.0], [1.0, 2.0]]}).write_parquet(tmp_path / "ragged.parquet")
    pl.DataFrame({"id": ["a"], "v": [["x"]]}).write_parquet(tmp_path / "text.parquet")
    pl.DataFrame({"id": ["a", None], "v": [1, 2]}).write_parquet(tmp_path / "null.parquet")
    pl.DataFrame({"id": ["a"]}).write_parquet(tmp_path / "none.parquet")
    for name, ids, message in [
        ("f.npy", None, "f.npy has rows without ids"),
        ("f.npy", "ids.txt", "f.npy has 2 rows for 1 item ids"),
        ("ragged.safetensors", None, "one vector per item id, all of one length"),
        ("bad.safetensors", None, "bad.safetensors cannot be read as a safetensors file"),
        ("ragged.parquet", None, r"its lists have the lengths"),
        ("text.parquet", None, "text.parquet cannot be read as a table with numeric columns"),
        ("null.parquet", None, "null.parquet has 1 of 2 rows without an item id"),
        ("none.parquet", None, "none.parquet"),
        ("f.bin", None, "f.bin is not a feature file"),
    ]:
        with pytest.raises(ValueError, match=message):
            read_features(FeatureSource(tmp_path / name, tmp_path / ids if ids else None))


def test_a_missing_value_in_a_feature_table_is_reported(clicks):
    pl.DataFrame({"sku": ["mug", "lamp"], "x": [1.0, None]}).write_parquet(clicks.with_name("f.parquet"))
    features = {"text": FeatureSource(clicks.with_name("f.parquet"))}
    with pytest.raises(ValueError, match="f.parquet: features must be finite, but 1 of 3 rows"):
        read_tables(TableSettings(clicks, features=features, split=ALL))


@pytest.mark.parametrize("name", ["timestamp", "Date", "created_at"])
def test_a_column_with_a_name_of_times_is_read(clicks, name):
    clicks.write_text(f"user,item,{name}\nu,a,2024-01-05\nu,b,2024-01-06\n")
    data = read(clicks)
    assert data.interactions.timestamps.tolist() == [1_704_412_800, 1_704_499_200]
    assert data.warnings == ()


def test_a_column_that_holds_no_times_is_left_out_and_reported(clicks):
    clicks.write_text("user,item,date\nu,a,2024-01-05\nu,b,soon\n")
    data = read(clicks)
    assert data.interactions.timestamps is None
    assert data.warnings == (
        "clicks.csv: the column 'date' is not used as times: 1 of 2 values that are no times, the first, 'soon', in "
        "line 3",
    )


def test_a_description_guesses_no_times(clicks):
    clicks.write_text("user,item,date\nu,a,2024-01-05\nu,b,2024-01-06\n")
    assert read_tables(TableSettings(clicks)).interactions.timestamps is None


def test_columns_of_items_are_typed_and_aligned(clicks):
    items = clicks.with_name("items.csv")
    items.write_text("sku;price;in_stock;since\nsofa;1.299,00;true;2024-01-31\nmug;9,90;;\n;1;true;\nx;1;true;\n")
    source = ItemSource(items, columns=("price", "in_stock", "since"), layout=Layout(decimal=","))
    data = read_tables(TableSettings(clicks, items=source))
    assert list(data.items) == ["lamp", "mug", "sofa"]
    assert data.item_columns.rows() == [(None, None, None), (9.9, None, None), (1299.0, True, date(2024, 1, 31))]
    assert data.titles is None
    with pytest.raises(ValueError, match=r"items\.csv has no column 'color'; its columns are \['sku', 'price'"):
        read_tables(TableSettings(clicks, items=ItemSource(items, columns=("color",))))
    with pytest.raises(ValueError, match=r"items\.csv cannot have a further column 'title' of items"):
        read_tables(TableSettings(clicks, items=ItemSource(items, columns=("title",))))
    items.write_text("sku,price\nmug,1\nmug,2\n")
    with pytest.raises(ValueError, match=r"items\.csv has 1 rows whose id repeats; keep one row per id"):
        read_tables(TableSettings(clicks, items=ItemSource(items, columns=("price",))))


def test_ids_are_matched_alike_in_all_files(clicks):
    clicks.write_text("user,item\nu,MUG\nu,Lamp\n")
    items, features = clicks.with_name("items.csv"), clicks.with_name("f.csv")
    items.write_text("sku,name\nmug,A mug\nLAMP,A lamp\n")
    features.write_text("sku;x\nMug;1,5\nlamp;2\n")
    data = read_tables(
        TableSettings(
            clicks,
            rows=RowSettings(id_matching="trim+lower"),
            items=ItemSource(items, title_column="name", id_matching="trim+lower"),
            features={"text": FeatureSource(features, layout=Layout(decimal=","), id_matching="trim+lower")},
        )
    )
    assert (list(data.items), data.titles) == (["lamp", "mug"], ("A lamp", "A mug"))
    assert data.features["text"].values.tolist() == [[2], [1.5]]
    assert "clicks.csv: 2 ids were written in lower case" in data.warnings
