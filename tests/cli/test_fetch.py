"""flatrec data fetch, from a server on this machine."""

from __future__ import annotations

import json

import pytest

from flatrec.data.fetching.catalog import RemoteFile
from tests.cli.test_errors import one_line
from tests.data.amazon.files import image_features, meta_2014, reviews_2014
from tests.data.fetching.server import serving
from tests.data.fetching.test_download import zipped


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    names = {"reviews": "r.json.gz", "meta": "m.json.gz", "image-features": "i.b"}
    image_features(tmp_path / "i.b")
    files = {"r.json.gz": reviews_2014(tmp_path / "r.json.gz"), "m.json.gz": meta_2014(tmp_path / "m.json.gz")}
    content = {name: path.read_bytes() for name, path in (*files.items(), ("i.b", tmp_path / "i.b"))}
    ratings = "userId,movieId,rating\n" + "".join(f"{u},{m},4\n" for u in range(9) for m in range(7))
    content["ml.zip"] = zipped(**{"ml/ratings.csv": ratings})
    with serving(**content) as (server, address):
        amazon = tuple(RemoteFile(kind, f"{address}/{name}") for kind, name in names.items())
        known = {"baby": amazon, "movielens": (RemoteFile("archive", f"{address}/ml.zip"),)}
        monkeypatch.setattr("flatrec.cli.data.CATALOG", known)
        yield server


def test_what_is_fetched_is_prepared_by_the_command_that_is_named(flatrec, catalog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = flatrec("data", "fetch", "baby", "--out", "raw", "--json")
    assert outcome.code == 0, outcome.err
    words = json.loads(outcome.out)["next"].split()[1:]
    assert flatrec(*words).code == 0
    assert (tmp_path / "baby" / "baby.inter").is_file()
    assert len(catalog.asked) == 3


def test_image_features_may_be_left_out(flatrec, catalog, tmp_path):
    outcome = flatrec("data", "fetch", "baby", "--out", tmp_path / "raw", "--no-image-features")
    assert outcome.code == 0
    assert [path for path, _ in catalog.asked] == ["/r.json.gz", "/m.json.gz"]


def test_movielens_is_unpacked_and_read(flatrec, catalog, tmp_path):
    outcome = flatrec("data", "fetch", "movielens", "--out", tmp_path / "raw")
    assert outcome.code == 0, outcome.err
    words = outcome.out.splitlines()[-1].removeprefix("Next: flatrec ").split()
    assert json.loads(flatrec(*words, "--json").out)["interactions"] == 63
    assert catalog.asked


@pytest.mark.parametrize(("names", "count"), [((), "0"), (("a/ratings.csv", "b/ratings.csv"), "2")])
def test_an_archive_without_its_one_table_is_one_line(flatrec, catalog, tmp_path, names, count):
    catalog.files["ml.zip"] = zipped(**{name: "userId,movieId\n" for name in ("ml/notes.txt", *names)})
    outcome = flatrec("data", "fetch", "movielens", "--out", tmp_path / "raw")
    one_line(outcome, 2, f"ml.zip holds {count} files ratings.csv", "fetch it again")


def test_bad_usage_is_one_line(flatrec, catalog, tmp_path):
    one_line(flatrec("data", "fetch", "babi", "--out", tmp_path / "raw"), 2, "unknown data set", "did you mean baby")
    catalog.files.clear()
    one_line(flatrec("data", "fetch", "baby", "--out", tmp_path / "raw"), 1, "cannot get http", "by other means")
