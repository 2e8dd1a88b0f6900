import polars as pl
import pytest

from flatrec import load_data
from flatrec.data.builder import build_dataset
from flatrec.data.split_table import split_table, write_split_table
from tests.data.splitting.tables import TWELVE, data_set

UNDATED = build_dataset("d", pl.DataFrame({"user": [user for _, user, _ in TWELVE], "item": [i for *_, i in TWELVE]}))


def test_the_table_has_original_ids_times_weights_and_splits():
    dataset = data_set(settings={"method": "leave-last"}, weight=[1.0] * 11 + [0.5])
    table = split_table(dataset)
    assert table.columns == ["user", "item", "timestamp", "weight", "split"]
    assert table.rows()[-3:] == [
        ("w", "a", 1_704_326_400, 1.0, "train"),
        ("w", "b", 1_704_585_600, 1.0, "valid"),
        ("w", "c", 1_704_844_800, 0.5, "test"),
    ]


def test_columns_that_the_data_lack_are_not_there():
    assert split_table(UNDATED).columns == ["user", "item", "split"]


DATED = data_set(settings={"method": "time"})
WEIGHTED = data_set(settings={"method": "leave-last"}, weight=[0.1 * number for number in range(1, 13)])


@pytest.mark.parametrize("dataset", [UNDATED, DATED, WEIGHTED], ids=["undated", "dated", "weighted"])
@pytest.mark.parametrize("name", ["split.parquet", "split.csv"])
def test_reading_the_table_gives_the_same_data(tmp_path, name, dataset):
    write_split_table(dataset, tmp_path / name)
    assert load_data(tmp_path / name).fingerprint == dataset.fingerprint


def test_repeats_are_read_where_a_description_says_so(tmp_path):
    dataset = data_set((*TWELVE, (10, "u", "a")), settings={"method": "time"}, repeat=True)
    assert dataset.interactions.repeats
    write_split_table(dataset, tmp_path / "split.csv")
    description = 'interactions = "split.csv"\nsplit_column = "split"\ntime_column = "timestamp"\nrepeat = true\n'
    (tmp_path / "dataset.toml").write_text(description)
    assert load_data(tmp_path / "dataset.toml").fingerprint == dataset.fingerprint


def test_a_file_is_replaced_only_on_request(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="exists already; replace it"):
        write_split_table(UNDATED, path)
    assert path.read_text() == "mine"
    write_split_table(UNDATED, path, overwrite=True)
    assert path.read_text().startswith("user,item,split\n")
    assert [file.name for file in tmp_path.iterdir()] == ["split.csv"]


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--out must be a file that ends in .parquet or .csv, but is .*split.xlsx"):
        write_split_table(UNDATED, tmp_path / "split.xlsx")
