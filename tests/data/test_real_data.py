from pathlib import Path

import polars as pl
import pytest

from flatrec.data.formats import mmrec
from flatrec.data.loading import load_data
from flatrec.data.summary import summarize

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data lie beside the repository only")


@needs_data
@pytest.mark.parametrize(
    ("name", "sizes", "parts", "widths"),
    [
        ("ml-small", (610, 2865, 77224), [61751, 7734, 7739], {"image": 1280, "text": 384}),
        ("tiktok", (9308, 6710, 68722), [59541, 3051, 6130], {"image": 128, "audio": 128}),
        ("baby", (19445, 7050, 160792), [119674, 20559, 20559], {}),
    ],
)
def test_real_folders_have_the_sizes_that_their_description_says(name, sizes, parts, widths):
    one = summarize(load_data(DATA / name))
    assert (one.users, one.items, one.interactions) == sizes
    assert [part.interactions for part in one.splits.values()] == parts
    assert {modality: features.width for modality, features in one.features.items()} == widths
    assert one.row_counts.summed == 0
    assert not any("line" in sentence or "not used" in sentence for sentence in one.warnings)


@needs_data
def test_the_movies_have_their_titles_and_posters():
    movies = load_data(DATA / "ml-small")
    assert movies.titles[0] == "Toy Story (1995)"
    assert movies.images[10] == DATA / "ml-small" / "posters" / "10.jpg"


@needs_data
def test_a_real_folder_survives_writing_and_reading(tmp_path):
    movies = load_data(DATA / "ml-small")
    mmrec.write(movies, tmp_path)
    again = load_data(tmp_path)
    assert again.fingerprint == movies.fingerprint
    assert again.titles == movies.titles
    assert [path.resolve() for path in again.images] == [path.resolve() for path in movies.images]


@needs_data
@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [("tiktok", "f09ba92d0f3379498bac5c6c8aba130c"), ("baby", "7ce4ef0bf0daec8755805e39f95c2074")],
)
def test_data_without_times_keep_the_fingerprint_that_they_had_before_there_were_times(name, fingerprint):
    data = load_data(DATA / name)
    assert data.fingerprint == fingerprint
    assert (data.interactions.timestamps, data.interactions.weights, data.log) == (None, None, None)
    table = pl.read_csv(DATA / name / f"{name}.inter", separator="\t").sort("userID", "itemID")
    assert data.interactions.items.tolist() == table["itemID"].to_list()


@needs_data
def test_the_movies_have_their_times():
    movies = load_data(DATA / "ml-small")
    table = pl.read_csv(DATA / "ml-small" / "ml-small.inter", separator="\t").sort("userID", "itemID")
    assert movies.interactions.timestamps.tolist() == table["timestamp"].to_list()
    assert movies.interactions.weights is None
    assert movies.item_columns["genres"][0] == "Adventure|Animation|Children|Comedy|Fantasy"
