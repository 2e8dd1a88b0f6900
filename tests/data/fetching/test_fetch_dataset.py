"""A fetched folder is read, with features in the rows of their items, and its counts are compared."""

from __future__ import annotations

import gzip
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from flatrec import load_data
from flatrec.data.fetching.catalog import StatedCounts
from flatrec.data.fetching.fetch_dataset import fetch_dataset
from flatrec.data.fetching.plan import FetchSettings, plan_fetch
from tests.data.fetching import samples
from tests.data.fetching.server import serving

SETS = {
    "dbbook-mm": (samples.dbbook, StatedCounts("4", "3", "8")),
    "m3l-20m": (samples.m3l, StatedCounts("4", "3", "8")),
    "microlens-100k": (samples.microlens, StatedCounts("4", "3", "9")),
    "amazon-2023:Musical_Instruments": (samples.amazon_2023, StatedCounts("3", "2", "6")),
    "ml-25m": (samples.movielens, StatedCounts("9", "8", "63")),
}


@pytest.fixture
def server():
    with serving() as (one, address):
        one.address = address
        yield one


def prepared(server, name, **counts):
    files, stated = SETS[name]
    server.files = files()
    return samples.sample(server, name, StatedCounts(**counts) if counts else stated)


def fetched(dataset, out, *, image_features=True, source=None, **encoders):
    plan = plan_fetch(dataset, out, FetchSettings(encoders, image_features, source))
    return fetch_dataset(plan, out, pause=0.0)


@pytest.mark.parametrize("name", SETS)
def test_every_layout_is_read_with_the_stated_counts(server, tmp_path, name):
    dataset = prepared(server, name)
    summary = fetched(dataset, tmp_path / "out").summary
    data = load_data(tmp_path / "out")
    assert (summary.users, len(data.interactions)) == (int(dataset.counts.users), int(dataset.counts.interactions))
    assert set(data.features) == set(dataset.modalities)
    asked = len(server.asked)
    fetched(dataset, tmp_path / "out")  # nothing is downloaded twice
    assert len(server.asked) == asked


def test_features_of_single_files_are_those_of_the_chosen_encoder(server, tmp_path):
    dataset = prepared(server, "dbbook-mm")
    fetched(dataset, tmp_path)
    data = load_data(tmp_path)
    assert data.name == "dbbook-mm"
    np.testing.assert_allclose(data.features["text"].values, [[1.0, 1.1], [2.0, 2.1], [3.0, 3.1]], rtol=1e-6)
    assert data.features["image"].values.shape == (3, 4)
    fetched(dataset, tmp_path, text="all-mpnet-base-v2")
    first_row = load_data(tmp_path).features["text"].values[0]
    np.testing.assert_allclose(first_row, [5.0, 5.1, 5.2], rtol=1e-6)


def test_times_of_the_interactions_are_read_with_them(server, tmp_path):
    server.files = samples.dbbook()
    header = "userID\titemID\trating\ttimestamp\tx_label\n"  # that of ML-1M
    server.files["dbbook.inter"] = f"{header}0\t0\t1\t978300760\t0\n0\t2\t0\t978302109\t2\n".encode()
    fetched(samples.sample(server, "dbbook-mm", StatedCounts("1", "3", "2")), tmp_path)
    assert load_data(tmp_path).interactions.timestamps.tolist() == [978300760, 978302109]


def test_features_of_an_archive_are_those_of_the_chosen_encoder(server, tmp_path):
    dataset = prepared(server, "m3l-20m")
    fetched(dataset, tmp_path, text="clip_text", audio="none", video="none")
    data = load_data(tmp_path)
    assert set(data.features) == {"text", "image"}
    assert data.features["text"].values[0, 0] == len("clip_text")
    assert data.features["image"].values[0, 0] == len("vit")
    assert sorted(path.name for path in tmp_path.glob("*.npy")) == ["image_feat.npy", "text_feat.npy"]


def test_features_that_were_not_chosen_are_not_read_silently(server, tmp_path):
    dataset = prepared(server, "dbbook-mm")
    fetched(dataset, tmp_path)
    with pytest.raises(ValueError, match=r"already holds image_feat\.npy, which would be read too; remove it, or"):
        fetched(dataset, tmp_path, image="none")


def test_the_features_of_microlens_belong_to_item_numbers_from_1(server, tmp_path):
    dataset = prepared(server, "microlens-100k")
    fetched(dataset, tmp_path, video="none")
    data = load_data(tmp_path)
    assert list(data.items) == ["1", "2", "3"]
    assert data.titles == ("One", "Two", "Three, red")
    np.testing.assert_allclose(data.features["text"].values[:, 0], [1.0, 2.0, 3.0])
    assert set(data.features) == {"text", "image"}


def test_columns_may_have_either_of_the_names_that_microlens_uses(server, tmp_path):
    dataset = prepared(server, "microlens-100k")
    pairs = server.files["MicroLens-100k_pairs.csv"]
    server.files["MicroLens-100k_pairs.csv"] = pairs.replace(b"user,item", b"userID,videoID")
    server.files["MicroLens-100k_title_en.csv"] = b"item,title\n3,Three\n1,One\n2,Two\n"
    assert fetched(dataset, tmp_path).summary.interactions == 9
    assert load_data(tmp_path).titles == ("One", "Two", "Three")
    server.files["MicroLens-100k_pairs.csv"] = pairs.replace(b"user,item", b"a,b")
    with pytest.raises(ValueError, match="has none of the columns user, userID, .* but a, b, timestamp; fetch it"):
        fetched(dataset, tmp_path / "other")


@pytest.mark.parametrize("content", [b"1,\xff\n", b"1," + b"x" * 200_000 + b"\n"])
def test_titles_that_cannot_be_read_are_one_line(server, tmp_path, content):
    dataset = prepared(server, "microlens-100k")
    server.files["MicroLens-100k_title_en.csv"] = content
    with pytest.raises(ValueError, match=r"title_en\.csv cannot be read as a table of titles \(.*\); fetch it again"):
        fetched(dataset, tmp_path)


def test_an_archive_without_the_features_of_an_encoder_is_one_line(server, tmp_path):
    dataset = prepared(server, "m3l-20m")
    archive = samples.zipped({"m3l-20m/m3l-20m.inter": samples.INTER, "m3l-20m/text/mpnet.npy": samples.array(2)})
    file = replace(dataset.files[0], listing="")
    server.files[file.published_name] = archive
    with pytest.raises(ValueError, match=r"holds 0 files text/minilm\.npy, where one was expected, among m3l-20m/m3l-"):
        fetched(replace(dataset, files=(file,)), tmp_path)


def test_feature_files_of_different_lengths_are_refused(server, tmp_path):
    dataset = prepared(server, "microlens-100k")
    server.files[dataset.encoders[0].file.published_name] = samples.array(2, rows=2)
    with pytest.raises(ValueError, match="have different numbers of rows"):
        fetched(dataset, tmp_path)


def test_the_metadata_of_amazon_become_a_table_of_the_rated_items(server, tmp_path):
    fetched(prepared(server, "amazon-2023:Musical_Instruments"), tmp_path)
    table = pl.read_parquet(tmp_path / "items.parquet")
    assert table["id"].to_list() == ["B1", "B2"]
    assert table["text"].to_list() == ["Flute Winds", "Drum Music Drums loud"]
    assert load_data(tmp_path).titles == ("Flute", "Drum")


def test_movies_that_nobody_rated_are_counted_as_the_publisher_counts_them(server, tmp_path):
    dataset = prepared(server, "ml-25m")  # eight movies, seven with a rating
    assert fetched(dataset, tmp_path).summary.items == 7
    assert load_data(tmp_path).titles[0] == "Movie 0"


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"users": "5"}, "4 users where its publisher states 5"),
        ({"items": "3", "interactions": "9.0K"}, "8 interactions where its publisher states 9.0K"),
        ({"users": "6", "items": "7"}, "4 users where .* states 6 and 3 items where .* states 7"),
    ],
)
def test_other_counts_are_one_line_and_the_data_are_kept(server, tmp_path, counts, said):
    dataset = prepared(server, "dbbook-mm", **counts)
    with pytest.raises(
        ValueError, match=rf"dbbook-mm was read from .*, but has {said} .*2026.*the files are kept"
    ) as error:
        fetched(dataset, tmp_path)
    assert "\n" not in str(error.value)
    assert len(load_data(tmp_path).interactions) == 8


def test_what_is_not_stated_is_not_compared(server, tmp_path):
    assert fetched(prepared(server, "dbbook-mm", users="4"), tmp_path).summary.items == 3


def test_members_beside_the_tables_are_not_unpacked(server, tmp_path):
    dataset = prepared(server, "ml-25m")
    plain = replace(dataset, files=(replace(dataset.files[0], md5_address=""),))
    members = {"ml-25m/ratings.csv": "userId,movieId\n1,2\n", "dataset.toml": "interactions = '/etc/passwd'", "x/y": ""}
    server.files["ml-25m.zip"] = samples.zipped(members)
    assert fetched(replace(plain, counts=StatedCounts("1", "1", "1")), tmp_path).summary.items == 1
    assert "ml-25m/ratings.csv" in (tmp_path / "dataset.toml").read_text()
    assert not (tmp_path / "x").exists()


def test_an_item_without_metadata_is_called_by_its_id(server, tmp_path):
    dataset = prepared(server, "amazon-2023:Musical_Instruments")
    server.files["meta_Musical_Instruments.jsonl.gz"] = gzip.compress(b'{"parent_asin": "B2", "title": "Drum"}')
    fetched(dataset, tmp_path)
    data = load_data(tmp_path)
    assert (data.name, data.titles) == ("amazon-2023-Musical_Instruments", ("B1", "Drum"))


def test_a_description_that_was_edited_is_kept(server, tmp_path):
    dataset = prepared(server, "ml-25m")
    fetched(dataset, tmp_path)
    path = tmp_path / "dataset.toml"
    written = path.read_text()
    path.write_text("k_core = 2\n" + written)
    fetched(dataset, tmp_path)
    assert "k_core = 2" in path.read_text()
    path.unlink()
    fetched(dataset, tmp_path)
    assert path.read_text() == written


def test_files_that_came_by_other_means_are_checked_alike(server, tmp_path):
    dataset = prepared(server, "dbbook-mm")
    folder = tmp_path / "by-hand"
    folder.mkdir()
    for name, content in server.files.items():
        (folder / name).write_bytes(content)
    assert fetched(dataset, tmp_path / "out", source=folder).summary.users == 4
    assert not server.asked
    assert not server.heads
    (folder / "vit_cls.npy").write_bytes(samples.array(4, start=2.0))
    with pytest.raises(ValueError, match=r"image_feat\.npy has Git blob id .*, but its publisher says"):
        fetched(dataset, tmp_path / "second", source=folder)
    assert not (tmp_path / "second" / "image_feat.npy").exists()
    (folder / "vit_cls.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no file vit_cls\.npy; download it from http"):
        fetched(dataset, tmp_path / "second", source=folder)


def test_an_archive_without_its_files_is_one_line(server, tmp_path):
    dataset = prepared(server, "ml-25m")
    server.files["ml-25m.zip"] = samples.zipped({"ml-25m/movies.csv": "movieId,title\n"})
    del server.files["ml-25m.zip.md5"]
    plain = replace(dataset, files=(replace(dataset.files[0], md5_address=""),))
    with pytest.raises(ValueError, match=r"ml-25m\.zip holds 0 files ratings\.csv, where one was expected, among"):
        fetched(plain, tmp_path)
