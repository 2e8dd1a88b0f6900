"""Amazon's files to a data set that trains."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from flatrec.config import SplitSettings
from flatrec.data.amazon.images import RECORD, read_image_features
from flatrec.data.amazon.metadata import read_products
from flatrec.data.amazon.prepare import AmazonFiles, prepare
from flatrec.data.amazon.reviews import read_reviews
from flatrec.data.loading import load_data
from tests.data.amazon.files import (
    image_features,
    interactions,
    meta_2014,
    meta_2018,
    meta_2023,
    reviews_2014,
    reviews_2023,
    write_lines,
)


def test_the_release_of_2014_becomes_a_data_set(tmp_path):
    rows = image_features(tmp_path / "image_features_Baby.b")
    sources = AmazonFiles(
        reviews_2014(tmp_path / "reviews_Baby_5.json.gz"),
        meta_2014(tmp_path / "meta_Baby.json.gz", extra=["{'asin': __import__('os').getcwd()}"]),
        tmp_path / "image_features_Baby.b",
    )
    made = prepare(sources, tmp_path / "baby", SplitSettings(), name="baby")
    dataset = load_data(tmp_path / "baby")
    assert dataset.fingerprint == made.dataset.fingerprint
    assert (dataset.n_users, dataset.n_items) == (30, 12)
    interactions_read = {
        (dataset.users[u], dataset.items[i])
        for u, i in zip(dataset.interactions.users.tolist(), dataset.interactions.items.tolist(), strict=True)
    }
    assert interactions_read == set(interactions())
    assert np.bincount(dataset.interactions.splits).tolist() == [150, 30, 30]
    image = dataset.features["image"]
    assert image.present.tolist() == [True] * 11 + [False]
    assert (image.values[3] == rows[3]).all()
    raw = np.load(tmp_path / "baby" / "image_feat.npy")
    assert np.abs(raw[11] - raw[:11].mean(axis=0)).max() < 1e-6  # for readers that do not know the mask
    table = pl.read_parquet(tmp_path / "baby" / "items.parquet")
    assert table["text"][3] == 'Baby\'s "thing" 3 Ёлка Baby Toys C3 Line one\nline two \u00e9 3'
    assert table["text"][1] == 'Baby\'s "thing" 1 Ёлка Baby Toys C1'
    assert table["text"][0] == ""
    assert table["image_address"][3] == "http://images/3.jpg"
    assert dataset.titles[3] == 'Baby\'s "thing" 3'
    assert dataset.titles[0] == "B000000000"
    report = json.loads((tmp_path / "baby" / "prepare.json").read_text())
    assert (report["reviews"], report["interactions"], report["kept interactions"]) == (210, 210, 210)
    assert (report["without meta"], report["without text"], report["without image"]) == (1, 1, 1)
    assert report["skipped"]["meta_Baby.json.gz"] == {"malformed": 1}


@pytest.mark.parametrize(("reviews", "meta"), [(reviews_2014, meta_2018), (reviews_2023, meta_2023)])
def test_later_releases_become_the_same_interactions(tmp_path, reviews, meta):
    sources = AmazonFiles(reviews(tmp_path / "reviews.jsonl"), meta(tmp_path / "meta.jsonl.gz"))
    made = prepare(sources, tmp_path / "baby", SplitSettings(), name="baby")
    other = prepare(AmazonFiles(reviews_2014(tmp_path / "r.gz")), tmp_path / "bare", SplitSettings(), name="baby")
    assert made.dataset.fingerprint == other.dataset.fingerprint
    table = pl.read_parquet(tmp_path / "baby" / "items.parquet")
    assert table["text"][3].startswith("Thing 3 Maker Baby C3 One. Two.")
    assert table["image_address"][3] == "http://large/3.jpg"
    assert (made.without_meta, made.without_image) == (0, None)


def test_the_core_is_taken_duplicates_go_and_bad_reviews_are_counted(tmp_path):
    lone = [("A_once", "B000000001"), ("A000000001", "B_once")]
    path = reviews_2014(tmp_path / "r.json", [*interactions(), *lone, *interactions()[:10]])
    broken = '{"reviewerID": "", "asin": "B1"}\n{"asin": "B1"}\n{"reviewerID": 3, "asin": "B1"}\nx\n'
    path.write_text(path.read_text() + broken)
    found = read_reviews(path)
    assert (found.read, found.distinct, len(found.users)) == (222, 212, 210)
    assert found.skipped == {"without user or item": 3, "malformed": 1}
    assert len(read_reviews(path, k_core=0).users) == 212


def test_low_ratings_may_be_left_out(tmp_path):
    low = [json.dumps({"reviewerID": u, "asin": i, "overall": 2.0}) for u, i in interactions(8)]
    high = [json.dumps({"user_id": u, "parent_asin": i, "rating": 5}) for u, i in interactions(20)]
    path = write_lines(tmp_path / "r.json", [*low, *high])
    found = read_reviews(path, min_rating=3.0)
    assert found.skipped == {"rated too low": 56}
    assert len(found.users) == 140


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"asin": "B1", "title": "x"}'], "no review with user and item"),
        (['{"reviewerID": "A", "asin": "B1"}'], "no 5-core among its 1 interactions; lower --k-core"),
    ],
)
def test_reviews_that_cannot_be_used_say_why(tmp_path, lines, said):
    with pytest.raises(ValueError, match=said):
        read_reviews(write_lines(tmp_path / "r.json", lines))


def test_metadata_of_another_category_say_so(tmp_path):
    with pytest.raises(ValueError, match=r"has none of the 1 items that were reviewed; is it of the same category\?"):
        read_products(meta_2018(tmp_path / "m.json"), {"X": 0})


def test_image_features_that_cannot_be_used_say_why(tmp_path):
    image_features(tmp_path / "f.b")
    with pytest.raises(ValueError, match="has none of the 1 items"):
        read_image_features(tmp_path / "f.b", {"X": 0})
    (tmp_path / "f.b").write_bytes((tmp_path / "f.b").read_bytes()[:-5])
    with pytest.raises(ValueError, match=f"not a whole number of records of {RECORD} bytes"):
        read_image_features(tmp_path / "f.b", {"B000000001": 0})
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_image_features(tmp_path / "nowhere.b", {"X": 0})


def test_image_features_that_are_not_finite_are_missing(tmp_path):
    row = np.ones(4096, dtype="<f4")
    bad = row.copy()
    bad[5] = np.nan
    (tmp_path / "f.b").write_bytes(b"B000000000" + row.tobytes() + b"B000000001" + bad.tobytes())
    found = read_image_features(tmp_path / "f.b", {"B000000001": 0, "B000000000": 1})
    assert found.present.tolist() == [False, True]


def test_preparing_again_replaces_and_keeps_encoded_texts_from_being_mixed_in(tmp_path):
    sources = AmazonFiles(reviews_2014(tmp_path / "r.json"), meta_2014(tmp_path / "m.json"))
    prepare(sources, tmp_path / "baby", SplitSettings(), name="baby")
    prepare(sources, tmp_path / "baby", SplitSettings(seed=1), name="baby")
    np.save(tmp_path / "baby" / "text_feat.npy", np.ones((12, 3), dtype=np.float32))
    assert load_data(tmp_path / "baby").features["text"].width == 3
    with pytest.raises(ValueError, match=r"already holds text_feat\.npy"):
        prepare(sources, tmp_path / "baby", SplitSettings(), name="baby")


def test_preparing_again_after_a_kill_finishes_it(tmp_path):
    """What a kill leaves while NAME.inter is written is taken for no data, and does not stop the next try."""
    sources = AmazonFiles(reviews_2014(tmp_path / "r.json"), meta_2014(tmp_path / "m.json"))
    whole = prepare(sources, tmp_path / "baby", SplitSettings(), name="baby").dataset
    folder = tmp_path / "killed"
    folder.mkdir()
    half = (tmp_path / "baby" / "baby.inter").read_bytes()[:300]
    (folder / ".baby.inter.e71be6bf43ae4f53be47dfd2caa5aa8e.inter").write_bytes(half)
    (folder / f".flatrec-{'0' * 32}.tmp").mkdir()
    (folder / f".flatrec-{'0' * 32}.tmp" / "baby.inter").write_bytes(half)
    with pytest.raises(ValueError, match="is in no known format"):
        load_data(folder)
    prepare(sources, folder, SplitSettings(), name="baby")
    assert load_data(folder).fingerprint == whole.fingerprint
    assert not (folder / f".flatrec-{'0' * 32}.tmp").exists()
    listed = json.loads((folder / "flatrec-manifest.json").read_text())["files"]
    assert set(listed) == {"baby.inter", "users.parquet", "items.parquet", "prepare.json"}
