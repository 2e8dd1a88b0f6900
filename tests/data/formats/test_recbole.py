import numpy as np
import polars as pl
import pytest

from flatrec.data.formats import recbole

HEADER = "user_id:token\titem_id:token\trating:float\n"


def write(path, *rows, header=HEADER):
    path.write_text(header + "".join("\t".join(row) + "\n" for row in rows))


def test_ids_and_titles_are_read(tmp_path):
    write(tmp_path / "ml.inter", ("u2", "10", "3"), ("u1", "9", "1"))
    write(
        tmp_path / "ml.item",
        ("9", '"Nine" is', "x"),
        ("7", "Seven", ""),
        header="item_id:token\tmovie_title:token_seq\tc:float\n",
    )
    data = recbole.read(tmp_path)
    assert (data.name, list(data.users), list(data.items)) == ("ml", ["u1", "u2"], ["9", "10"])
    assert data.titles == ('"Nine" is', "10")


def test_an_item_file_without_names_gives_no_titles(tmp_path):
    write(tmp_path / "ml.inter", ("u", "a", "3"))
    write(tmp_path / "ml.item", ("a", "5"), header="item_id:token\tprice:float\n")
    assert recbole.read(tmp_path).titles is None


def test_small_sets_are_not_filtered(tmp_path):
    write(tmp_path / "ml.inter", ("u", "a", "3"))
    assert len(recbole.read(tmp_path).interactions) == 1


def test_benchmark_files_are_the_split(tmp_path):
    write(tmp_path / "ml.inter", ("ignored", "ignored", "0"))
    write(tmp_path / "ml.train.inter", ("u", "a", "1"), ("u", "b", "1"))
    write(tmp_path / "ml.valid.inter", ("u", "c", "1"))
    write(tmp_path / "ml.test.inter", ("v", "b", "1"), ("u", "b", "1"))
    data = recbole.read(tmp_path)
    assert list(data.users) == ["u", "v"]
    assert data.interactions.splits.tolist() == [0, 0, 1, 2]
    assert (data.split_report.summed, data.split_report.repeats) == (0, 1)
    (tmp_path / "ml.valid.inter").unlink()
    with pytest.raises(FileNotFoundError, match="ml.valid.inter is not a file"):
        recbole.read(tmp_path)


def test_features_follow_ids_or_the_rows_of_the_item_file(tmp_path):
    write(tmp_path / "ml.inter", ("u", "a", "1"), ("u", "b", "1"))
    np.save(tmp_path / "image_feat.npy", np.array([[2.0], [1.0]]))
    with pytest.raises(ValueError, match="image_feat.npy needs ml.item"):
        recbole.read(tmp_path)
    write(tmp_path / "ml.item", ("b",), ("a",), header="item_id:token\n")
    pl.DataFrame({"item_id": ["b"], "v": [[5.0, 6.0]]}).write_parquet(tmp_path / "text_feat.parquet")
    data = recbole.read(tmp_path)
    assert data.features["image"].values.tolist() == [[1], [2]]
    assert data.features["text"].present.tolist() == [False, True]


def test_a_missing_column_is_answered_with_the_columns_found(tmp_path):
    write(tmp_path / "ml.inter", ("u", "a"), header="user:token\titem_id:token\n")
    with pytest.raises(ValueError, match=r"ml.inter has no column 'user_id'; its columns are \['user:token', "):
        recbole.read(tmp_path)


def test_a_interaction_without_id_is_refused(tmp_path):
    write(tmp_path / "ml.inter", ("u", "", "1"), ("u", "a", "1"))
    with pytest.raises(ValueError, match=r"ml\.inter has 1 of 2 interactions without item id, the first in line 2"):
        recbole.read(tmp_path)


def test_a_folder_that_is_not_there_or_holds_no_interactions_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match="not a folder"):
        recbole.read(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=r"no file \*.inter"):
        recbole.read(tmp_path)


def test_times_are_read_and_ratings_are_no_weights(tmp_path):
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    write(tmp_path / "ml.inter", ("u", "a", "3", "881250949"), ("u", "b", "1", "881250950.5"), header=header)
    interactions = recbole.read(tmp_path).interactions
    assert interactions.timestamps.tolist() == [881_250_949, 881_250_950]
    assert interactions.weights is None
    write(tmp_path / "ml.inter", ("u", "a", "3", "881250949"), ("u", "b", "1", ""), header=header)
    with pytest.raises(ValueError, match=r"'timestamp:float' with 1 of 2 .* an empty cell, in line 3"):
        recbole.read(tmp_path)


def test_all_files_of_a_split_have_times_or_none_has(tmp_path):
    timed = "user_id:token\titem_id:token\ttimestamp:float\n"
    for split, time in (("train", "3"), ("valid", "4"), ("test", "5")):
        write(tmp_path / f"ml.{split}.inter", ("u", split, time), header=timed)
    data = recbole.read(tmp_path)
    assert dict(zip(data.items, data.interactions.timestamps.tolist(), strict=True)) == {
        "test": 5,
        "train": 3,
        "valid": 4,
    }
    write(tmp_path / "ml.test.inter", ("u", "test", "5"))
    with pytest.raises(ValueError, match=r"a timestamp in some of its files ml\.\*\.inter; give it to all or to none"):
        recbole.read(tmp_path)
