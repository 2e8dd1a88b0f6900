"""Files come whole or not at all, whatever the server does."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import socket
import zipfile

import pytest

from flatrec.data.fetching import CATALOGUE, RemoteFile, fetch
from flatrec.data.fetching.contents import unpack
from tests.data.fetching.server import serving

DATA = gzip.compress(bytes(range(256)) * 2000, mtime=0) + b""
LONG = bytes(range(256)) * 4000


@pytest.fixture
def server():
    with serving(**{"long.b": LONG, "data.gz": DATA}) as (one, address):
        one.address = address
        yield one


def of(server, name="long.b", md5=""):
    return RemoteFile("any", f"{server.address}/{name}", f"{server.address}/{md5}" if md5 else "")


def test_a_file_comes_whole_and_not_twice(server, tmp_path):
    heard = []
    (path,) = fetch([of(server)], tmp_path, on_bytes=heard.append)
    assert path.read_bytes() == LONG
    assert sum(heard) == len(LONG)
    assert json.loads((tmp_path / "fetched.json").read_text()) == {"long.b": hashlib.sha256(LONG).hexdigest()}
    fetch([of(server)], tmp_path)
    assert len(server.asked) == 1
    assert {one.name for one in tmp_path.iterdir()} == {"long.b", "fetched.json"}


def test_a_file_that_was_changed_here_is_fetched_again(server, tmp_path):
    (path,) = fetch([of(server)], tmp_path)
    path.write_bytes(b"changed")
    fetch([of(server)], tmp_path)
    assert path.read_bytes() == LONG


def test_a_connection_that_breaks_is_gone_on_with(server, tmp_path):
    server.troubles = ["cut", "cut", 503, "cut"]
    (path,) = fetch([of(server)], tmp_path, pause=0.0)
    assert path.read_bytes() == LONG
    starts = [wanted for _, wanted in server.asked]
    assert starts[0] is None
    assert starts[1] == f"bytes={len(LONG) // 2}-"
    assert len(starts) == 5


def test_a_stopped_download_goes_on_the_next_time(server, tmp_path):
    server.troubles = ["cut", 503, 503, 503, 503, 503, 503]
    with pytest.raises(ConnectionError, match=rf"\({''}.*\); {len(LONG) // 2} bytes are kept, and the same command"):
        fetch([of(server)], tmp_path, pause=0.0)
    assert not (tmp_path / "long.b").exists()
    server.troubles.clear()
    assert fetch([of(server)], tmp_path)[0].read_bytes() == LONG
    assert server.asked[-1][1] == f"bytes={len(LONG) // 2}-"


@pytest.mark.parametrize("change", ["etag", "ranges"])
def test_parts_of_another_version_are_not_mixed(server, tmp_path, change):
    server.troubles = ["cut", 503, 503, 503, 503, 503]
    with pytest.raises(ConnectionError):
        fetch([of(server)], tmp_path, pause=0.0)
    server.troubles.clear()
    if change == "etag":
        server.etag, server.files["long.b"] = '"two"', LONG[::-1]
    else:
        server.ranges = False
    assert fetch([of(server)], tmp_path)[0].read_bytes() == server.files["long.b"]


def test_a_part_that_is_already_whole_or_too_long_is_fetched_anew(server, tmp_path):
    (tmp_path / "long.b.part").write_bytes(LONG + b"x")
    (tmp_path / "long.b.part.etag").write_text('"one"')
    assert fetch([of(server)], tmp_path, pause=0.0)[0].read_bytes() == LONG


def test_a_compressed_file_that_is_damaged_is_refused_and_forgotten(server, tmp_path):
    server.files["data.gz"] = DATA[:-20]
    with pytest.raises(ValueError, match=r"data\.gz is damaged .*fetch it again"):
        fetch([of(server, "data.gz")], tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.files["data.gz"] = DATA
    assert fetch([of(server, "data.gz")], tmp_path)[0].read_bytes() == DATA


@pytest.mark.parametrize("form", ["MD5 (long.b) = {}\n", "{}  long.b\n"])
def test_what_the_makers_publish_is_compared(server, tmp_path, form):
    server.files["long.b.md5"] = form.format(hashlib.md5(LONG).hexdigest()).encode()
    assert fetch([of(server, md5="long.b.md5")], tmp_path / "right")[0].read_bytes() == LONG
    server.files["long.b"] = LONG[::-1]
    with pytest.raises(ValueError, match=r"long\.b has MD5 [0-9a-f]{32}, its makers publish [0-9a-f]{32}"):
        fetch([of(server, md5="long.b.md5")], tmp_path / "wrong")
    assert list((tmp_path / "wrong").iterdir()) == []


def test_a_file_that_is_not_there_is_not_asked_for_again_and_again(server, tmp_path):
    with pytest.raises(ConnectionError, match=r"cannot get http.*nothing\.b .*put the file into .* by other means"):
        fetch([of(server, "nothing.b")], tmp_path, pause=0.0)
    assert len(server.asked) == 1


def test_no_network_is_one_line(tmp_path):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    file = RemoteFile("any", f"http://127.0.0.1:{port}/x.b")
    with pytest.raises(ConnectionError, match=r"cannot get http.*; check the network, or put the file into") as raised:
        fetch([file], tmp_path, pause=0.0)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_nothing_but_the_web_is_opened(tmp_path, address):
    with pytest.raises(ValueError, match="must begin with http"):
        fetch([RemoteFile("any", address)], tmp_path)


def test_the_catalogue_has_the_sets_of_the_paper():
    assert set(CATALOGUE) == {"baby", "sports", "clothing", "pet", "office", "movielens"}
    for files in CATALOGUE.values():
        assert all(one.address.startswith("https://") for one in files)
        assert len({one.name for one in files}) == len(files)


def zipped(**files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def test_an_archive_is_unpacked_below_its_folder_only(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(**{"ml/ratings.csv": "userId,movieId\n1,2\n"}))
    (path,) = unpack(tmp_path / "a.zip", tmp_path / "out")
    assert path.read_text() == "userId,movieId\n1,2\n"
    (tmp_path / "b.zip").write_bytes(zipped(**{"../escaped": "x"}))
    with pytest.raises(ValueError, match="leads out of"):
        unpack(tmp_path / "b.zip", tmp_path / "out")
    assert not (tmp_path / "escaped").exists()
    (tmp_path / "c.zip").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="is damaged"):
        unpack(tmp_path / "c.zip", tmp_path / "out")
