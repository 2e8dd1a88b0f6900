"""A file is what its publisher states, or what it was at the first download."""

from __future__ import annotations

import hashlib
import subprocess

import pytest

from flatrec.data.fetching.catalog import RemoteFile
from flatrec.data.fetching.checksums import file_hash
from flatrec.data.fetching.download import fetch
from tests.data.fetching.samples import array
from tests.data.fetching.server import serving

DATA = b"1,2\n" * 20_000


@pytest.fixture
def server():
    with serving(**{"pairs.csv": DATA}) as (one, address):
        one.address = address
        yield one


def of(server, **stated):
    return RemoteFile("interactions", f"{server.address}/pairs.csv", **stated)


def test_known_digests(tmp_path):
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert file_hash(path, "git") == "ce013625030ba8dba906f756967f9e9ca394464a"  # of git hash-object
    assert file_hash(path, "md5") == "b1946ac92492d2347c6235b4d2611184"


def test_the_id_of_a_blob_is_that_of_git(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(DATA)
    told = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True)
    assert file_hash(path, "git") == told.stdout.strip()


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"size": len(DATA) + 1}, rf"pairs\.csv has {len(DATA)} bytes, but its publisher says {len(DATA) + 1}; fetch"),
        ({"checksum": "md5:" + "0" * 32}, rf"has MD5 {hashlib.md5(DATA).hexdigest()}, but its publisher says 0{{32}}"),
        ({"checksum": "git:" + "0" * 40}, r"has Git blob id [0-9a-f]{40}, but its publisher says 0{40}"),
    ],
)
def test_a_file_that_is_not_what_is_stated_is_refused_and_forgotten(server, tmp_path, stated, said):
    with pytest.raises(ValueError, match=said):
        fetch([of(server, **stated)], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_broke_is_resumed_and_its_checksum_is_that_of_the_whole(server, tmp_path):
    server.troubles = ["cut"]
    stated = of(server, size=len(DATA), checksum=f"md5:{hashlib.md5(DATA).hexdigest()}")
    (path,) = fetch([stated], tmp_path, pause=0.0)
    assert path.read_bytes() == DATA
    assert [wanted for _, wanted in server.asked] == [None, f"bytes={len(DATA) // 2}-"]


def test_another_file_than_at_the_first_download_is_refused(server, tmp_path):
    (path,) = fetch([of(server)], tmp_path)
    path.unlink()
    server.files["pairs.csv"], server.etag = DATA + b"3,4\n", '"two"'
    first, second = hashlib.sha256(DATA).hexdigest(), hashlib.sha256(DATA + b"3,4\n").hexdigest()
    with pytest.raises(
        ValueError, match=rf"has SHA-256 {second}, but had {first} at the first .*delete .*fetched\.json"
    ):
        fetch([of(server)], tmp_path)
    assert not path.exists()
    (tmp_path / "fetched.json").unlink()
    fetch([of(server)], tmp_path)
    assert path.read_bytes().endswith(b"3,4\n")


def test_a_publisher_may_replace_a_file_whose_checksum_it_states(server, tmp_path):
    server.files["pairs.csv.md5"] = hashlib.md5(DATA).hexdigest().encode()
    file = of(server, md5_address=f"{server.address}/pairs.csv.md5")
    (path,) = fetch([file], tmp_path)
    path.unlink()
    server.files["pairs.csv"], server.etag = b"new\n", '"two"'
    server.files["pairs.csv.md5"] = hashlib.md5(b"new\n").hexdigest().encode()
    fetch([file], tmp_path)
    assert path.read_bytes() == b"new\n"


def test_a_file_of_another_address_is_downloaded_under_the_same_name(server, tmp_path):
    server.files["other.csv"] = b"other\n"
    fetch([of(server, saved_as="kept.csv")], tmp_path)
    (path,) = fetch([RemoteFile("interactions", f"{server.address}/other.csv", saved_as="kept.csv")], tmp_path)
    assert path.read_bytes() == b"other\n"


def changed(data, *, header=b"", cut=0):
    return (data.replace(b"{'descr'", header) if header else data)[: len(data) - cut]


@pytest.mark.parametrize(
    "how", [{"cut": 3}, {"header": b"{{descr'"}, {"header": b"[[[[[[[["}, {"header": b"{'descr(("}]
)
def test_an_array_that_was_cut_or_damaged_is_refused(server, tmp_path, how):
    file = RemoteFile("features", f"{server.address}/a.npy")
    server.files["a.npy"] = changed(array(5), **how)
    with pytest.raises(ValueError, match=r"a\.npy is damaged .*; fetch it again"):
        fetch([file], tmp_path)
    server.files["a.npy"] = array(5)
    fetch([file], tmp_path)
