"""Lines of strangers: read, skipped and counted, never run."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flatrec.data.amazon.lines import MALFORMED, MAX_LINE, NO_RECORD, NOT_TEXT, TOO_LONG, SkipCounts, read_records


def read(path, content):
    path.write_bytes(content)
    skipped = SkipCounts()
    return list(read_records(path, skipped)), dict(skipped)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_json_and_python_literals_are_read_side_by_side(tmp_path, pack):
    content = b"{'a': 'it\\'s', 'b': [['x']], 'c': None}\n\n" + '{"a": "Ёлка", "d": null}\r\n'.encode() + b'{"a": 1}'
    found, skipped = read(tmp_path / "f", pack(content))
    assert found == [{"a": "it's", "b": [["x"]], "c": None}, {"a": "Ёлка", "d": None}, {"a": 1}]
    assert skipped == {}


HOSTILE = [
    "__import__('os').system('touch ran')",
    "{'a': __import__('os').system('touch ran')}",
    "{'a': open('ran', 'w')}",
    "{'a': [x for x in range(10)]}",
    "{'a': (lambda: 1)()}",
    "{'a': 9**9**9}",
    "{'a': f'{1}'}",
    'exec(\'open("ran", "w")\')',
    "[" * 100_000 + "]" * 100_000,
    "{'a': " * 50_000 + "1" + "}" * 50_000,
    "(" * 100_000,
    "-" * 1_000_000 + "1",
    "1if 1else " * 5_000 + "1",
    "{'a': " + "9" * 100_000 + "}",
    "{'a': 'unclosed",
    '{"a": 1',
    "\x00",
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_line_is_skipped_and_counted_and_not_run(tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    found, skipped = read(tmp_path / "f", f'{{"a": 1}}\n{line}\n{{"a": 2}}\n'.encode())
    assert found == [{"a": 1}, {"a": 2}]
    assert skipped == {MALFORMED: 1}
    assert not (tmp_path / "ran").exists()


def test_what_is_no_record_is_counted_apart(tmp_path):
    found, skipped = read(tmp_path / "f", b'{"a": 1}\n[1]\n"text"\n3\n{1: 2}\nb\'x\'\n\xff\xfe{}\n')
    assert found == [{"a": 1}]
    assert skipped == {NO_RECORD: 5, NOT_TEXT: 1}


def test_a_line_of_a_hundred_megabytes_costs_no_memory(tmp_path):
    with gzip.open(tmp_path / "f.gz", "wb", compresslevel=1) as file:
        file.write(b'{"a": 1}\n{"a": "')
        for _ in range(100):
            file.write(b"x" * 2**20)
        file.write(b'"}\n{"a": 2}\n')
    skipped = SkipCounts()
    tracemalloc.start()
    found = list(read_records(tmp_path / "f.gz", skipped))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [{"a": 1}, {"a": 2}]
    assert skipped == {TOO_LONG: 1}
    assert peak < 4 * MAX_LINE


def test_a_last_line_that_is_too_long_ends_the_file(tmp_path):
    found, skipped = read(tmp_path / "f", b'{"a": 1}\n' + b"x" * (MAX_LINE + 5))
    assert (len(found), skipped) == (1, {TOO_LONG: 1})


def test_a_file_that_ends_too_early_says_so(tmp_path):
    pack_state = gzip.compress("".join(json.dumps({"a": n, "b": str(n * 7919)}) + "\n" for n in range(5000)).encode())
    with pytest.raises(ValueError, match=r"is damaged or was not downloaded completely .*fetch it again"):
        read(tmp_path / "f.gz", pack_state[:-100])
    damaged = bytearray(pack_state)
    damaged[len(pack_state) // 2] ^= 255
    with pytest.raises(ValueError, match="is damaged"):
        read(tmp_path / "g.gz", bytes(damaged))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a,b\n1,2\n" * 60, b"\x89PNG" * 100])
def test_a_file_without_records_says_so(tmp_path, content):
    with pytest.raises(ValueError, match="holds no records"):
        read(tmp_path / "f", content)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a file"):
        list(read_records(tmp_path / "nowhere", SkipCounts()))


def test_bytes_add_up(tmp_path):
    (tmp_path / "f").write_bytes(b'{"a": "%s"}\n' % (b"x" * 1000) * 5000)
    heard = []
    list(read_records(tmp_path / "f", SkipCounts(), on_bytes=heard.append))
    assert sum(heard) == (tmp_path / "f").stat().st_size
    assert len(heard) > 2


@given(some.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "f"
    try:
        for record in read(path, data)[0]:
            assert isinstance(record, dict)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
