"""flatrec data fetch and flatrec list datasets, from a server on this machine."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flatrec.data.fetching.catalog import StatedCounts
from flatrec.data.fetching.public_datasets import DATASETS
from tests.cli.test_errors import one_line
from tests.data.amazon.files import image_features, meta_2014, reviews_2014
from tests.data.fetching import samples
from tests.data.fetching.server import serving


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of Amazon's files of 2014, MovieLens and DBbook, from which the data sets of these names come."""
    image_features(tmp_path / "image_features_Baby.b")
    reviews_2014(tmp_path / "reviews_Baby_5.json.gz")
    meta_2014(tmp_path / "meta_Baby.json.gz")
    names = ("image_features_Baby.b", "reviews_Baby_5.json.gz", "meta_Baby.json.gz")
    content = {name: (tmp_path / name).read_bytes() for name in names}
    with serving(**content, **samples.movielens(), **samples.dbbook()) as (one, address):
        one.address = address
        one.sets = {
            "baby": samples.sample(one, "baby", StatedCounts()),
            "ml-25m": samples.sample(one, "ml-25m", StatedCounts("9", "8", "63")),
            "dbbook-mm": samples.sample(one, "dbbook-mm", StatedCounts("4", "3", "8")),
        }
        monkeypatch.setattr("flatrec.data.fetching.public_datasets.DATASETS", one.sets)
        yield one


def test_what_is_fetched_is_prepared_by_the_command_that_is_named(flatrec, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = flatrec("data", "fetch", "baby", "--out", "raw", "--json")
    assert outcome.code == 0, outcome.err
    words = json.loads(outcome.out)["next"].split()[1:]
    assert flatrec(*words).code == 0
    assert (tmp_path / "baby" / "baby.inter").is_file()
    assert len(server.asked) == 3


def test_image_features_may_be_left_out(flatrec, server, tmp_path):
    outcome = flatrec("data", "fetch", "baby", "--out", tmp_path / "raw", "--no-image-features")
    assert outcome.code == 0
    assert [path for path, _ in server.asked] == ["/reviews_Baby_5.json.gz", "/meta_Baby.json.gz"]


def test_movielens_is_unpacked_and_read(flatrec, server, tmp_path):
    outcome = flatrec("data", "fetch", "ml-25m", "--out", tmp_path / "raw")
    assert outcome.code == 0, outcome.err
    words = outcome.out.splitlines()[-1].removeprefix("Next: flatrec ").split()
    assert json.loads(flatrec(*words, "--json").out)["interactions"] == 63
    assert server.asked


def test_license_and_size_are_shown_before_the_first_byte(flatrec, server, tmp_path):
    server.troubles = [404]
    outcome = flatrec("data", "fetch", "ml-25m", "--out", tmp_path / "raw")
    assert outcome.code == 1
    terms, size, failure = outcome.err.splitlines()
    assert terms.startswith("ml-25m: license GroupLens's own; terms of use: research use; ")
    length = len(server.files["ml-25m.zip"])
    assert size == f"ml-25m: 1 file from {server.address[7:]}, {samples_size(length)}"
    assert failure.startswith("flatrec: cannot get http")


def samples_size(length):
    return f"{length} bytes" if length < 1000 else f"{length / 1000:.1f} KB"


def test_encoders_are_chosen_and_counts_are_printed(flatrec, server, tmp_path):
    words = ("data", "fetch", "dbbook-mm", "--out", tmp_path / "raw")
    outcome = flatrec(*words, "--encoder", "text=all-mpnet-base-v2", "--encoder", "image=none", "--json")
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    assert told["counts"] == {"users": 4, "items": 3, "interactions": 8}
    assert set(told["files"]) == {"interactions", "text-features"}
    assert [path for path, _ in server.asked] == ["/dbbook.inter", "/all-mpnet-base-v2.npy"]
    features = json.loads(flatrec("data", "info", tmp_path / "raw", "--json").out)["features"]
    assert features["text"]["width"] == 3
    assert "4 users, 3 items, 8 interactions" in flatrec(*words, "--encoder", "image=none").out


def test_wrong_counts_are_said_and_the_data_are_kept(flatrec, server, tmp_path):
    server.sets["dbbook-mm"] = replace(server.sets["dbbook-mm"], counts=StatedCounts("5"))
    outcome = flatrec("data", "fetch", "dbbook-mm", "--out", tmp_path / "raw")
    assert (outcome.code, outcome.out) == (2, "")
    assert "has 4 users where its publisher states 5" in outcome.err.splitlines()[-1]
    assert json.loads(flatrec("data", "info", tmp_path / "raw", "--json").out)["users"] == 4


def test_files_of_a_folder_need_no_server(flatrec, server, tmp_path):
    folder = tmp_path / "by-hand"
    folder.mkdir()
    (folder / "ml-25m.zip").write_bytes(server.files["ml-25m.zip"])
    outcome = flatrec("data", "fetch", "ml-25m", "--out", tmp_path / "raw", "--from", folder)
    assert outcome.code == 0, outcome.err
    (folder / "ml-25m.zip.md5").write_bytes(server.files["ml-25m.zip.md5"])
    assert flatrec("data", "fetch", "ml-25m", "--out", tmp_path / "raw2", "--from", folder).code == 0
    (folder / "ml-25m.zip.md5").write_text("0" * 32)
    outcome = flatrec("data", "fetch", "ml-25m", "--out", tmp_path / "raw3", "--from", folder)
    assert "but its publisher says " + "0" * 32 in outcome.err.splitlines()[-1]
    outcome = flatrec("data", "fetch", "baby", "--out", tmp_path / "other", "--from", folder)
    assert (outcome.code, outcome.out) == (2, "")
    assert "has no file reviews_Baby_5.json.gz; download it from http" in outcome.err.splitlines()[-1]
    assert not server.asked
    assert not server.heads


def test_bad_usage_is_one_line(flatrec, server, tmp_path):
    one_line(flatrec("data", "fetch", "babi", "--out", tmp_path / "raw"), 2, "unknown data set 'babi'")
    words = ("data", "fetch", "dbbook-mm", "--out", tmp_path / "raw", "--encoder")
    one_line(flatrec(*words, "text"), 2, "--encoder must be MODALITY=ENCODER")
    one_line(flatrec(*words, "text=bert"), 2, "unknown encoder of text 'bert'")
    assert not server.asked


def test_the_list_names_every_set(flatrec):
    outcome = flatrec("list", "datasets")
    assert outcome.code == 0
    assert all(name in outcome.out for name in DATASETS)
    listed = json.loads(flatrec("list", "datasets", "ml-1m-mm", "--json").out)["datasets"]
    assert [one["counts"]["interactions"] for one in listed] == ["942,703"]
    shown = flatrec("list", "datasets", "lfm-2k-mm").out
    assert "text: all-MiniLM-L6-v2 (default), all-mpnet-base-v2" in shown
    assert "license: not stated; terms of use: non-commercial use" in shown
    assert "lfm2k/vggish.npy (1.5 MB)" in shown
    one_line(flatrec("list", "datasets", "ml-1m"), 2, "unknown data set 'ml-1m'; did you mean")
