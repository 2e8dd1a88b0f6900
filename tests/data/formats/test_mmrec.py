import os
import stat
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatrec.config import SplitSettings
from flatrec.data.builder import IndexedFeatures, ItemMetadata, build_dataset
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.formats import mmrec

ROWS = ["0\t0\t0", "0\t1\t1", "3\t1\t0", "3\t2\t2"]


def folder(path: Path, rows=ROWS, header="userID\titemID\tx_label") -> Path:
    (path / "toys.inter").write_text("\n".join([header, *rows, ""]))
    return path


def dataset(name="toys") -> Dataset:
    interactions = pl.DataFrame(
        {"user": ["ann", "ann", "bob", "bob"], "item": ["mug", "lamp", "lamp", 'a "b"\t'], "split": [0, 1, 0, 2]}
    )
    rows = IndexedFeatures(["mug", "lamp"], np.array([[1.5, 2], [3, 4]]), "image.npy")
    return build_dataset(name, interactions, features={"image": rows})


def test_users_are_numbered_by_sorted_id_and_items_by_their_own(tmp_path):
    data = mmrec.read(folder(tmp_path))
    assert data.name == "toys"
    assert list(data.users) == ["0", "3"]
    assert data.interactions.users.tolist() == [0, 0, 1, 1]
    assert data.interactions.items.tolist() == [0, 1, 1, 2]
    assert data.interactions.splits.tolist() == [0, 1, 0, 2]
    assert data.titles is None
    assert data.images is None


def test_item_numbers_with_huge_gaps_are_refused_instead_of_filling_the_memory(tmp_path):
    with pytest.raises(ValueError, match="2 items with indices up to 4000000000; index items from 0"):
        mmrec.read(folder(tmp_path, [*ROWS[:1], "0\t4000000000\t0"]))


def test_a_file_that_is_no_image_is_not_taken_for_one(tmp_path):
    folder(tmp_path)
    pl.DataFrame({"itemID": [0], "image": ["../secrets.txt"]}).write_csv(tmp_path / "items.csv")
    with pytest.raises(ValueError, match="as an image; images end in"):
        mmrec.read(tmp_path)


def test_names_are_not_taken_for_patterns(tmp_path):
    other = tmp_path / "data [v2]"
    other.mkdir()
    folder(other)
    assert len(mmrec.read(other).interactions) == 4


def test_other_columns_are_ignored(tmp_path):
    rows = ["4.5\t1\t0\tx\t0", "3.0\t0\t0\ty\t2"]
    data = mmrec.read(folder(tmp_path, rows, "rating\titemID\tuserID\tnote\tx_label"))
    assert data.interactions.items.tolist() == [0, 1]
    assert data.interactions.splits.tolist() == [2, 0]


def test_interactions_without_labels_are_split_and_not_filtered(tmp_path):
    rows = [f"{user}\t{item}" for user in range(2) for item in range(10)] + ["2\t11"]
    data = mmrec.read(folder(tmp_path, rows, "userID\titemID"))
    assert [data.interactions.count(part) for part in ("train", "valid", "test")] == [17, 2, 2]
    assert (data.n_users, data.n_items) == (3, 12)


def test_there_are_as_many_items_as_feature_rows(tmp_path):
    np.save(tmp_path / "image_feat.npy", np.arange(10, dtype=np.float64).reshape(5, 2))
    data = mmrec.read(folder(tmp_path))
    assert data.n_items == 5
    assert data.features["image"].values.dtype == np.float32
    assert data.features["image"].values[4].tolist() == [8, 9]


def test_a_mask_tells_which_items_lack_a_modality(tmp_path):
    np.save(tmp_path / "image_feat.npy", np.array([[1.0], [np.nan], [3.0]]))
    np.save(tmp_path / "image_mask.npy", np.array([True, False, True]))
    image = mmrec.read(folder(tmp_path)).features["image"]
    assert image.present.tolist() == [True, False, True]
    assert image.values.tolist() == [[1], [0], [3]]


def test_an_items_table_gives_ids_titles_and_images(tmp_path):
    (tmp_path / "one.png").touch()
    (tmp_path / "items.csv").write_text('itemID,title,id,image\n1,"A lamp, blue",lamp,one.png\n4,,,\n')
    data = mmrec.read(folder(tmp_path))
    assert list(data.items) == ["0", "lamp", "2", "3", "4"]
    assert data.titles == ("0", "A lamp, blue", "2", "3", "4")
    assert data.images == (None, tmp_path / "one.png", None, None, None)


@pytest.mark.parametrize("name", ["posters", "images"])
def test_images_named_by_item_number_are_found(tmp_path, name):
    (tmp_path / name).mkdir()
    for file in ("0.jpg", "2.PNG", "9.jpg", "1.txt"):
        (tmp_path / name / file).touch()
    images = mmrec.read(folder(tmp_path)).images
    assert images == (tmp_path / name / "0.jpg", None, tmp_path / name / "2.PNG")


def test_a_listed_image_that_does_not_exist_is_reported(tmp_path):
    (tmp_path / "items.csv").write_text("itemID,image\n0,gone.jpg\n")
    with pytest.raises(FileNotFoundError, match=r"items.csv lists 1 of 1 images that do not exist, e.g. .*gone.jpg"):
        mmrec.read(folder(tmp_path))


def test_the_file_named_like_the_folder_is_read_of_several(tmp_path):
    place = tmp_path / "toys"
    place.mkdir()
    (place / "other.inter").write_text("userID\titemID\n0\t0\n")
    assert len(mmrec.read(folder(place)).interactions) == 4
    (place / "toys.inter").rename(place / "games.inter")
    with pytest.raises(ValueError, match=r"2 files \*.inter, e.g. games.inter; keep one"):
        mmrec.read(place)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (
            "user\titemID\tx_label",
            ROWS,
            r"toys.inter has no column 'userID'; its columns are \['user', 'itemID', 'x_label'\]",
        ),
        ("userID\titemID\tx_label", [], "toys.inter is empty"),
        ("", [], "toys.inter has an empty first line"),
        ("userID\titemID\tx_label", ["0\t-1\t0"], "column 'itemID' with 1 of 1 values .* e.g. '-1'"),
        ("userID\titemID\tx_label", ["0.5\t1\t0", "1\t1\t0"], "column 'userID' with 1 of 2 values .* e.g. '0.5'"),
        ("userID\titemID\tx_label", ["ann\t1\t0"], "column 'userID' .* e.g. 'ann'"),
        (
            "userID\titemID\tx_label",
            ["\t1\t0"],
            "toys.inter has 1 of 1 interactions without userID, the first in line 2",
        ),
        ("userID\titemID\tx_label", ["0\t1\t3"], "1 of 1 values that name no split, the first, '3', in line 2;"),
        ("userID\titemID\tx_label", ["0\t1"], "column 'x_label' .* the first, an empty cell, in line 2"),
        ("userID\titemID\tx_label", ["0\t1\t0\t7"], "toys.inter cannot be read as a table"),
        ("userID\titemID\tx_label", ["0\t1\t2"], "none in training"),
    ],
)
def test_malformed_interactions_are_refused_in_one_line(tmp_path, header, rows, message):
    with pytest.raises(ValueError, match=message) as caught:
        mmrec.read(folder(tmp_path, rows, header))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[1.0], [np.nan], [0.0]]), "image_feat.npy: features must be finite, but 1 of 3"),
        (np.array([[1.0], [-np.inf], [0.0]]), "image_feat.npy: features must be finite, but 1 of 3"),
        (np.ones((2, 4)), "items up to index 2, but image_feat.npy has 2 rows"),
        (np.ones(3), "image_feat.npy must be a numeric matrix"),
        (np.float64(3), "image_feat.npy must be a numeric matrix"),
        (np.array([["a"], ["b"], ["c"]]), "image_feat.npy must be a numeric matrix"),
    ],
)
def test_malformed_features_are_refused(tmp_path, values, message):
    np.save(tmp_path / "image_feat.npy", values)
    with pytest.raises(ValueError, match=message):
        mmrec.read(folder(tmp_path))


def test_modalities_of_different_lengths_are_refused(tmp_path):
    np.save(tmp_path / "image_feat.npy", np.ones((4, 1)))
    np.save(tmp_path / "text_feat.npy", np.ones((5, 1)))
    with pytest.raises(ValueError, match="text_feat.npy has 5 rows, the data set has 4 items"):
        mmrec.read(folder(tmp_path))


@pytest.mark.parametrize("mask", [np.array([True, False]), np.array([1, 0, 1])])
def test_a_mask_of_another_shape_or_type_is_refused(tmp_path, mask):
    np.save(tmp_path / "image_feat.npy", np.ones((3, 1)))
    np.save(tmp_path / "image_mask.npy", mask)
    with pytest.raises(ValueError, match="image_mask.npy must hold one true or false per row"):
        mmrec.read(folder(tmp_path))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("itemID,title\n0,a\n0,b\n", "items.csv has 2 rows that share their itemID"),
        ("number,title\n0,a\n", r"items.csv has no column 'itemID'; its columns are \['number', 'title'\]"),
        ("itemID,id\n0,a\n1,a\n", "item ids must be unique"),
    ],
)
def test_malformed_items_tables_are_refused(tmp_path, table, message):
    (tmp_path / "items.csv").write_text(table)
    with pytest.raises(ValueError, match=message):
        mmrec.read(folder(tmp_path))


def test_a_folder_that_is_not_there_or_holds_no_interactions_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone is not a folder"):
        mmrec.read(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=r"has no file \*.inter"):
        mmrec.read(tmp_path)


def test_writing_and_reading_gives_the_same_data_set(tmp_path):
    (tmp_path / "mug.jpg").touch()
    texts = {"titles": ("Tabs", "A lamp", "Näpf"), "images": (None, None, tmp_path / "mug.jpg")}
    data = replace(dataset(), **texts)
    assert not data.features["image"].present.all()
    mmrec.write(data, tmp_path / "out" / "toys")
    again = mmrec.read(tmp_path / "out" / "toys")
    assert again.fingerprint == data.fingerprint
    assert (again.name, list(again.users), list(again.items)) == (data.name, list(data.users), list(data.items))
    assert again.titles == data.titles
    assert again.images[:2] == (None, None)
    assert again.images[2].resolve() == (tmp_path / "mug.jpg").resolve()


def test_users_and_items_without_interactions_survive_writing(tmp_path):
    np.save(tmp_path / "image_feat.npy", np.ones((6, 1)))
    first = mmrec.read(folder(tmp_path)).with_features({})
    mmrec.write(first, tmp_path / "out")
    assert mmrec.read(tmp_path / "out").fingerprint == first.fingerprint


def test_a_modality_that_all_items_lack_survives_writing(tmp_path):
    data = dataset().with_features({"audio": Features(np.ones((3, 2), dtype=np.float32), np.zeros(3, dtype=bool))})
    mmrec.write(data, tmp_path)
    assert mmrec.read(tmp_path).fingerprint == data.fingerprint


def test_writing_again_replaces_and_leaves_nothing_behind(tmp_path):
    mmrec.write(dataset(), tmp_path)
    full = dataset().with_features({"image": Features(np.ones((3, 1), dtype=np.float32), np.ones(3, dtype=bool))})
    mmrec.write(full, tmp_path)
    assert mmrec.read(tmp_path).fingerprint == full.fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "image_feat.npy",
        "items.parquet",
        "toys.inter",
        "users.parquet",
    ]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    mmrec.write(dataset(), tmp_path)
    before = (tmp_path / "image_feat.npy").read_bytes()

    def fail(file, *_arguments, **_options):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        mmrec.write(dataset(), tmp_path)
    assert (tmp_path / "image_feat.npy").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.skipif(os.name != "posix", reason="file permissions are those of POSIX")
def test_written_files_have_the_usual_permissions(tmp_path):
    mmrec.write(dataset(), tmp_path)
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_folder_with_other_data_is_not_written_into(tmp_path):
    np.save(tmp_path / "audio_feat.npy", np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"already holds audio_feat.npy, which would be read together"):
        mmrec.write(dataset(), tmp_path)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="cannot be used in a file name"):
        mmrec.write(dataset(name), tmp_path)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations([f"{user}\t{item}" for user in range(4) for item in range(5)]))
def test_permuting_the_rows_gives_the_same_data_set(tmp_path, rows):
    shuffled = mmrec.read(folder(tmp_path, rows, "userID\titemID"))
    ordered = mmrec.read(folder(tmp_path, sorted(rows), "userID\titemID"))
    assert shuffled.fingerprint == ordered.fingerprint


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_ids_survive_writing(tmp_path, interactions):
    frame = pl.DataFrame(interactions, schema={"user": pl.String, "item": pl.String}, orient="row")
    data = build_dataset("any", frame, settings=SplitSettings())
    mmrec.write(data, tmp_path)
    again = mmrec.read(tmp_path)
    assert again.fingerprint == data.fingerprint
    assert list(again.items) == list(data.items)


def test_times_weights_and_columns_of_items_survive_writing(tmp_path):
    interactions = pl.DataFrame(
        {
            "user": ["ann", "ann", "bob"],
            "item": ["mug", "lamp", "lamp"],
            "timestamp": [1_704_445_230, -5, 0],
            "weight": [0.1, 1e-7, 3.0],
        }
    )
    columns = pl.DataFrame(
        {
            "price": [9.5, None],
            "code": ["007", ""],
            "in_stock": [True, None],
            "since": [date(2024, 1, 31), None],
            "changed": [datetime(2024, 1, 31, 9, tzinfo=UTC), None],
        }
    )
    made = build_dataset("toys", interactions, metadata=ItemMetadata(ids=["mug", "lamp"], columns=columns))
    assert made.item_columns["code"].to_list() == ["", "007"]
    mmrec.write(made, tmp_path)
    again = mmrec.read(tmp_path)
    assert again.fingerprint == made.fingerprint
    assert again.interactions.timestamps.tolist() == [-5, 1_704_445_230, 0]
    assert again.item_columns.equals(made.item_columns)
    assert again.item_columns.schema == made.item_columns.schema
    assert replace(made, item_columns=None).fingerprint == made.fingerprint


def test_further_columns_of_a_text_table_of_items_are_typed(tmp_path):
    folder(tmp_path)
    (tmp_path / "items.csv").write_text("itemID,title,genres,year,\n2,C,a|b,1999,x\n0,A,,2001,x\n")
    columns = mmrec.read(tmp_path).item_columns
    assert columns.to_dict(as_series=False) == {"genres": [None, None, "a|b"], "year": [2001, None, 1999]}


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "timestamp",
            ["1704445230", "soon"],
            "'timestamp' with 1 of 2 values that are no times, the first, 'soon', in line 3; expected Unix",
        ),
        ("timestamp", ["1704445230", ""], "no times, the first, an empty cell, in line 3"),
        ("timestamp", ["1704445230", "1704445230000"], "Unix milliseconds, while the first row has Unix seconds"),
        ("timestamp", ["1704445230", "90000000000"], "lie in the future, the first, '90000000000', in line 3"),
        ("weight", ["1", "0"], "not above 0, the first, '0', in line 3; give every interaction a weight above 0"),
        ("weight", ["1", ""], "not above 0, the first, an empty cell, in line 3"),
        ("weight", ["1", "x"], "are no numbers, the first, 'x', in line 3"),
    ],
)
def test_bad_times_and_weights_are_refused_by_their_line(tmp_path, column, values, message):
    folder(tmp_path, [f"0\t{row}\t{value}" for row, value in enumerate(values)], f"userID\titemID\t{column}")
    with pytest.raises(ValueError, match=r"toys\.inter has column .*" + message) as caught:
        mmrec.read(tmp_path)
    assert "\n" not in str(caught.value)
