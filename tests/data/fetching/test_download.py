"""Files come whole or not at all, whatever the server does."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from flatrec.data.amazon.images import RECORD
from flatrec.data.fetching.catalog import RemoteFile
from flatrec.data.fetching.download import fetch
from flatrec.utils.integrity import MANIFEST, check_manifest, read_sealed, seal
from tests.data.fetching.server import serving
from tests.processes import LIMIT, SERVER

DATA = gzip.compress(bytes(range(256)) * 2000, mtime=0) + b""
LONG = (bytes(range(256)) * 65)[:RECORD] * 62


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
    record = read_sealed(tmp_path / "fetched.json", advice="")
    known = {"address": f"{server.address}/long.b", "sha256": hashlib.sha256(LONG).hexdigest()}
    assert record == {"files": {"long.b": known}}
    fetch([of(server)], tmp_path)
    assert len(server.asked) == 1
    assert {one.name for one in tmp_path.iterdir()} == {"long.b", "fetched.json", MANIFEST}
    check_manifest(tmp_path, advice="")
    path.write_bytes(LONG[:-1] + b"x")
    with pytest.raises(ValueError, match=r"long\.b is damaged or was changed since it was written; fetch it again"):
        check_manifest(tmp_path, advice="fetch it again")


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
    for content in (LONG + b"x", LONG):
        (tmp_path / "long.b.part").write_bytes(content)
        (tmp_path / "long.b.part.json").write_text(seal({"etag": '"one"', "length": None}))
        assert fetch([of(server)], tmp_path, pause=0.0)[0].read_bytes() == LONG
        assert [wanted for _, wanted in server.asked[-2:]] == [f"bytes={len(content)}-", None]
        assert not list(tmp_path.glob("*.part*"))
        (tmp_path / "long.b").unlink()


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
    with pytest.raises(ValueError, match=r"long\.b has MD5 [0-9a-f]{32}, but its publisher says [0-9a-f]{32}"):
        fetch([of(server, md5="long.b.md5")], tmp_path / "wrong")
    assert list((tmp_path / "wrong").iterdir()) == []


def test_a_file_that_is_not_there_is_not_asked_for_again_and_again(server, tmp_path):
    with pytest.raises(
        ConnectionError, match=r"cannot get http.*nothing\.b .*get the file by other means and name its folder"
    ):
        fetch([of(server, "nothing.b")], tmp_path, pause=0.0)
    assert len(server.asked) == 1


def test_no_network_is_one_line(tmp_path):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    file = RemoteFile("any", f"http://127.0.0.1:{port}/x.b")
    with pytest.raises(ConnectionError, match=r"cannot get http.*; check the network, or get the file") as raised:
        fetch([file], tmp_path, pause=0.0)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_nothing_but_the_web_is_opened(tmp_path, address):
    with pytest.raises(ValueError, match="must begin with http"):
        fetch([RemoteFile("any", address)], tmp_path)


EMPTY = ["empty", "empty-without-length", "204", "chunks-empty"]


@pytest.mark.parametrize("name", ["long.b", "data.gz"])
@pytest.mark.parametrize("trouble", EMPTY)
def test_an_empty_answer_is_no_file(server, tmp_path, name, trouble):
    server.troubles = [trouble]
    with pytest.raises(
        (ConnectionError, ValueError), match="is empty|status 204|does not say how long|check the network"
    ) as raised:
        fetch([of(server, name)], tmp_path, pause=0.0)
    assert "\n" not in str(raised.value)
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []
    assert fetch([of(server, name)], tmp_path)[0].read_bytes() == server.files[name]
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("page", "web page"),
        ("abc", "Content-Length is 'abc', not a number"),
        ("packed", r"compressed \(br\)"),
        ("no-length", "does not say how long it is"),
        ("no-length-cut", "does not say how long it is"),
        ("from-0", "status 206"),
    ],
)
def test_an_answer_that_cannot_be_told_from_half_a_file_is_refused(server, tmp_path, trouble, said):
    server.troubles = [trouble]
    with pytest.raises(ConnectionError, match=rf"cannot get http.*long\.b \(.*{said}.*; check the network"):
        fetch([of(server)], tmp_path, pause=0.0)
    assert list(tmp_path.iterdir()) == []
    assert len(server.asked) == 1


def test_without_a_length_a_file_is_whole_where_it_says_so_itself(server, tmp_path):
    server.files["long.b.md5"] = hashlib.md5(LONG).hexdigest().encode()
    server.troubles = ["no-length", "no-length", "", "chunks"]
    fetch([of(server, "data.gz")], tmp_path / "a")
    fetch([of(server, md5="long.b.md5")], tmp_path / "b")
    fetch([of(server)], tmp_path / "c")
    assert (tmp_path / "a" / "data.gz").read_bytes() == DATA
    assert (tmp_path / "b" / "long.b").read_bytes() == (tmp_path / "c" / "long.b").read_bytes() == LONG
    server.troubles = ["no-length-cut"]
    with pytest.raises(ValueError, match="is damaged"):
        fetch([of(server, "data.gz")], tmp_path / "d")
    server.troubles = ["chunks-cut"]
    assert fetch([of(server)], tmp_path / "e", pause=0.0)[0].read_bytes() == LONG


PIECES = ["wrong-offset", "from-0", "other-etag", "other-total", "no-range", "short-piece", "wrong-length"]


@pytest.mark.parametrize("trouble", PIECES)
def test_a_piece_that_was_not_asked_for_never_gets_into_a_file(server, tmp_path, trouble):
    server.troubles = ["cut", trouble]
    (path,) = fetch([of(server)], tmp_path, pause=0.0)
    assert path.read_bytes() == LONG
    assert server.asked[1][1] == f"bytes={len(LONG) // 2}-"
    going_on = f"bytes={len(LONG) // 2 + 1000}-" if trouble == "short-piece" else None
    assert server.asked[2][1] == going_on
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("plant", ["link", "hard link", "pipe"])
@pytest.mark.parametrize("name", ["long.b.part", "long.b.part.json"])
def test_what_was_planted_in_the_place_of_a_part_is_not_followed(server, tmp_path, plant, name):
    victim, out = tmp_path / "victim", tmp_path / "out"
    victim.write_bytes(b"precious")
    out.mkdir()
    if plant == "link":
        (out / name).symlink_to(victim)
    elif plant == "hard link":
        (out / name).hardlink_to(victim)
    else:
        os.mkfifo(out / name)
    assert fetch([of(server)], out)[0].read_bytes() == LONG
    assert victim.read_bytes() == b"precious"
    assert not list(out.glob("*.part*"))
    (out / "long.b").unlink()
    (out / "long.b").symlink_to(victim)
    with pytest.raises(OSError, match=r"cannot write .*long\.b: it is a symbolic link"):
        fetch([of(server)], out)
    assert victim.read_bytes() == b"precious"


def test_a_part_is_as_open_as_any_other_file(server, tmp_path):
    before = os.umask(0o027)
    try:
        (path,) = fetch([of(server)], tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "[]", "{}", '{"files": 3}', "\udcff", seal({"files": 3}), seal({"files": {"a": "b"}})]
)
def test_a_record_that_is_damaged_is_one_line_that_says_what_to_do(server, tmp_path, content):
    (tmp_path / "fetched.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=r"fetched\.json .*; delete it and fetch again"):
        fetch([of(server)], tmp_path)
    assert not server.asked


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b"{}", b'"one"'])
def test_a_mark_that_is_damaged_costs_the_part_and_nothing_else(server, tmp_path, content):
    (tmp_path / "long.b.part").write_bytes(b"something else")
    (tmp_path / "long.b.part.json").write_bytes(content)
    assert fetch([of(server)], tmp_path)[0].read_bytes() == LONG
    assert server.asked == [("/long.b", None)]


def test_a_full_disk_is_said_with_the_name_of_the_file(server, tmp_path, monkeypatch):
    write, size = os.write, len(LONG) // 2

    def limited(descriptor, data):
        if os.fstat(descriptor).st_size >= size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[: len(data) // 3 + 1])

    monkeypatch.setattr("flatrec.data.fetching.partial_download.os.write", limited)
    with pytest.raises(OSError, match=r"cannot write .*long\.b\.part: the disk is full; free some space"):
        fetch([of(server)], tmp_path, pause=0.0)
    kept = (tmp_path / "long.b.part").stat().st_size
    assert kept >= size
    monkeypatch.setattr("flatrec.data.fetching.partial_download.os.write", write)
    assert fetch([of(server)], tmp_path)[0].read_bytes() == LONG
    assert server.asked[-1][1] == f"bytes={kept}-"


FETCHING = """
import os, signal, sys
from pathlib import Path
from flatrec.data.fetching.catalog import RemoteFile
from flatrec.data.fetching.download import fetch
from flatrec.data.fetching import partial_download
limit = int(sys.argv[3])
count = 0
def deadly(function):
    def call(*arguments, **more):
        global count
        count += 1
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **more)
    return call
for name in ("write", "open", "unlink", "replace", "rename", "fsync", "mkdir"):
    setattr(os, name, deadly(getattr(os, name)))
fetch([RemoteFile("any", sys.argv[1])], Path(sys.argv[2]), pause=0.0)
print(count)
"""


def fetched_until(address, out, limit, answer):
    """Fetch a file, and die at one of the changes of the disk."""
    count = 0

    def deadly(function):
        def call(*arguments, **more):
            nonlocal count
            count += 1
            if count == limit:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)

        return call

    for name in ("write", "open", "unlink", "replace", "rename", "fsync", "mkdir"):
        setattr(os, name, deadly(getattr(os, name)))
    fetch([RemoteFile("any", address)], out, pause=0.0)
    if answer:
        answer.send(count)


def fetching(address, out, limit, answer=None):
    """The exit code of a process that does so, forked from one that has all imports behind it."""
    child = SERVER.Process(target=fetched_until, args=(address, out, limit, answer))
    child.start()
    child.join(LIMIT)
    return child.exitcode


def test_killed_at_any_write_the_same_command_goes_on(server, tmp_path):
    server.files["long.b"] = LONG[: 12 * RECORD]  # four pieces
    other = b"x" * 13 * RECORD
    reader, writer = SERVER.Pipe(duplex=False)
    assert fetching(f"{server.address}/long.b", tmp_path / "whole", 0, writer) == 0
    steps = reader.recv()
    assert steps > 15
    for step in range(1, steps + 1):
        out = tmp_path / f"out{step}"
        server.etag, server.files["long.b"] = '"one"', LONG[: 12 * RECORD]
        assert fetching(f"{server.address}/long.b", out, step) == -signal.SIGKILL
        if step % 2:
            server.etag, server.files["long.b"] = '"two"', other
        (path,) = fetch([of(server)], out)
        assert path.read_bytes() in (LONG[: 12 * RECORD], other)  # what came whole of one version, or of the other
        assert {one.name for one in out.iterdir()} == {"long.b", "fetched.json", MANIFEST}
        check_manifest(out, advice="")


def test_an_interruption_ends_a_download_at_once_and_keeps_what_came(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/long.b"
        for place, begin in enumerate((b"", b'HTTP/1.0 200 OK\r\nContent-Length: 1000\r\nETag: "a"\r\n\r\nabc')):
            out = tmp_path / str(place)
            process = subprocess.Popen([sys.executable, "-c", FETCHING, address, out, "0"], stderr=subprocess.PIPE)
            connection, _ = silent.accept()
            with connection:
                connection.sendall(begin)
                time.sleep(0.5)
                start = time.monotonic()
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=20)
                assert time.monotonic() - start < 2
            assert b"KeyboardInterrupt" in said
        assert (out / "long.b.part").read_bytes() in (b"abc", b"")
