"""What can happen to the file of a log."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing, contextmanager

import pytest

from flatrec.event_log import Event, LogFullError, LogPlace, LogUnavailableError


def event(number, size=1):
    return Event("ann", "x" * size, "view", number, str(number))


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "a ?#% folder"
    folder.mkdir()
    return folder / "events.sqlite"


@pytest.fixture
def log(path):
    made = LogPlace(path).open(create=True, seconds=0.2)
    yield made
    made.close()


def test_it_is_durable(path, log):
    log.append([event(1)])
    with log._pool.connection() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert path.exists()


def test_a_locked_file_is_read_but_not_written(path, log):
    log.append([event(1)])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailableError, match="locked"):
            log.append([event(2)])
        assert len(log.newest(["ann"], 9)["ann"]) == 1
    assert log.append([event(2)]) == 1


def test_a_file_that_is_removed_or_replaced_is_noticed(path, log):
    log.append([event(1)])
    moved = path.with_name("moved")
    for end in ("", "-wal", "-shm"):
        os.rename(f"{path}{end}", f"{moved}{end}")
    for act in (lambda: log.append([event(2)]), lambda: log.newest(["ann"], 9), log.last_number):
        with pytest.raises(LogUnavailableError):
            act()
    assert not path.exists()
    for end in ("", "-wal", "-shm"):
        os.rename(f"{moved}{end}", f"{path}{end}")
    assert log.append([event(2)]) == 1
    assert len(log.newest(["ann"], 9)["ann"]) == 2


def test_what_is_no_log_is_said_in_one_line(tmp_path):
    text, other, empty = tmp_path / "text", tmp_path / "other.sqlite", tmp_path / "empty.sqlite"
    text.write_bytes(b"no database at all " * 100)
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE flatrec_events (number INTEGER, user TEXT)")
    empty.touch()
    for path, create, said in (
        (text, True, "must be a SQLite database"),
        (text, False, "must be a SQLite database"),
        (other, True, "has the columns number, user; choose another file"),
        (other, False, "has the columns number, user; choose another file"),
        (empty, False, "the table is not there"),
        (tmp_path / "none", False, "there is no log of events"),
        (tmp_path / "none" / "a", True, "create it first"),
        (tmp_path, True, "unable to open"),
    ):
        with pytest.raises((ValueError, OSError), match=said) as caught:
            LogPlace(path).open(create=create)
        assert "\n" not in str(caught.value)
    assert text.read_bytes().startswith(b"no database")


def test_a_file_of_the_shop_s_own_may_hold_the_log_as_well(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE items (id TEXT)")
    log = LogPlace(path).open(create=True)
    assert log.append([event(1)]) == 1
    log.close()


def fill(log):
    """Write events until the disk is full, and return the numbers of those that were acknowledged."""
    written = []
    try:
        for number in range(1, 10_000):
            assert log.append([event(number, 500), event(-number, 500)]) == 2
            written += [number, -number]
    except LogFullError:
        return written
    raise AssertionError("the disk is too large")


def check_filled(path, log, written):
    """All that was acknowledged is there, nothing else is, and it can be read."""
    assert sorted(map(int, ids(path))) == sorted(written)
    assert len(log.newest(["ann"], 10_000)["ann"]) == len(written)


def ids(path):
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in database.execute("SELECT id FROM flatrec_events")]


def test_a_file_that_may_not_grow_refuses_events_and_loses_none(path, log, monkeypatch):
    original = log._pool._connect

    def limited():
        connection = original()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    pages = 60
    log.close()
    monkeypatch.setattr(log._pool, "_connect", limited)
    written = fill(log)
    assert len(written) > 10
    check_filled(path, log, written)
    pages = 10_000
    log.close()
    assert log.append([event(99_999)]) == 1
    check_filled(path, log, [*written, 99_999])


@contextmanager
def small_disk(folder, size="600k"):
    """A disk of its own; the test is skipped where that is not allowed."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if made.returncode:
        pytest.skip(f"no disk can be mounted: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_refuses_events_and_loses_none(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "events.sqlite"
        log = LogPlace(path).open(create=True)
        (disk / "ballast").write_bytes(bytes(100_000))
        written = fill(log)
        assert len(written) > 10
        with pytest.raises(LogFullError):
            log.append([event(99_998, 500)])
        assert len(log.newest(["ann"], 10_000)["ann"]) == len(written)
        (disk / "ballast").unlink()
        assert log.append([event(99_999)]) == 1
        check_filled(path, log, [*written, 99_999])
        log.close()


def test_what_is_forgotten_is_not_in_the_file_any_more(path, log, monkeypatch):
    log.append([Event("a-secret-person", f"i{number}", "view", 1, f"a-secret-person-{number}") for number in range(50)])
    log.append([event(1)])
    original = log._pool._connect

    def careless():
        connection = original()
        connection.execute("PRAGMA secure_delete = OFF")  # the default of most builds of SQLite
        return connection

    log.close()
    monkeypatch.setattr(log._pool, "_connect", careless)
    assert log.forget(["a-secret-person"]) == 50
    for one in path.parent.glob("events.sqlite*"):
        assert b"a-secret-person" not in one.read_bytes()
    assert ids(path) == ["1"]


def test_a_reader_keeps_the_write_ahead_log_and_a_warning_says_so(path, log, caplog):
    log.append([event(1)])
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM flatrec_events").fetchall()
        assert log.forget(["ann"]) == 1
    assert "events.sqlite-wal still holds them" in caplog.text


def test_a_log_that_no_event_could_be_written_to_is_refused_at_the_start(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE flatrec_events (number INTEGER PRIMARY KEY, user, item, event, time, id TEXT)")
    with pytest.raises(ValueError, match="the column id of flatrec_events in .* must be UNIQUE"):
        LogPlace(path).open(create=True)
    LogPlace(path).open().close()  # it can be read


def test_a_file_without_the_permission_to_write_is_refused_at_the_start(path, monkeypatch):
    LogPlace(path).open(create=True).close()
    monkeypatch.setattr("flatrec.event_log.sqlite.os.access", lambda *_: False)  # root may write anything
    with pytest.raises(ValueError, match="must be writable"):
        LogPlace(path).open(create=True)
