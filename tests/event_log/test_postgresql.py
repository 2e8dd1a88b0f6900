"""What is particular to a log in PostgreSQL: its server may stop, be full, or hold a transaction open."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psycopg
import pytest

from flatrec.event_log import Event, LogFullError, LogPlace, LogUnavailableError
from tests.postgresql_server import running_server

pytestmark = pytest.mark.slow


def event(number, user="ann"):
    return Event(user, f"i{number}", "view", number, str(number))


@pytest.fixture
def log(database):
    assert database
    made = LogPlace(url_env="EVENTS_URL").open(create=True, seconds=1.0)
    yield made
    made.close()


def test_a_commit_waits_for_the_disk_of_the_server(log, database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER ROLE flatrec SET synchronous_commit = off")
    log.close()
    with log._pool.connection() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_a_locked_table_is_unavailable_and_nothing_is_written(log, database):
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE flatrec_events")
        for act in (lambda: log.append([event(1)]), lambda: log.newest(["ann"], 9)):
            with pytest.raises(LogUnavailableError, match="statement timeout"):
                act()
    assert log.newest(["ann"], 9) == {}
    assert log.append([event(1)]) == 1


def test_a_full_disk_is_told_from_other_failures(log, database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN IF NEW.item = 'i2' THEN RAISE 'no space left' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON flatrec_events FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )
    with pytest.raises(LogFullError, match="full, so that nothing was written"):
        log.append([event(1), event(2)])
    assert log.append([event(1)]) == 1


def test_the_last_number_waits_for_events_that_are_being_written(log, database):
    log.append([event(1)])
    with psycopg.connect(database) as other:
        other.execute("INSERT INTO flatrec_events (\"user\", item, event, time) VALUES ('bob', 'a', 'view', 1)")
        found = []
        asking = threading.Thread(target=lambda: found.append(log.last_number()))
        asking.start()
        time.sleep(0.3)
        assert found == []
        other.commit()
        asking.join()
    assert found == [2]
    assert log.until(2)["user"].to_list() == ["ann", "bob"]


def test_what_is_no_log_is_said_in_one_line(database, server, monkeypatch):
    with pytest.raises(FileNotFoundError, match="has no table flatrec_events; flatrec serve makes it"):
        LogPlace(url_env="EVENTS_URL").open()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE flatrec_events (number INTEGER)")
    with pytest.raises(ValueError, match="must have the columns .* but has number; choose another"):
        LogPlace(url_env="EVENTS_URL").open(create=True)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    monkeypatch.setenv("EVENTS_URL", server.url(database="latin"))
    with pytest.raises(ValueError, match="must be in UTF8, but is in SQL_ASCII"):
        LogPlace(url_env="EVENTS_URL").open(create=True)
    monkeypatch.setenv("EVENTS_URL", "postgresql://me:a-secret@127.0.0.1:1/db")
    with pytest.raises(LogUnavailableError, match="refused") as caught:
        LogPlace(url_env="EVENTS_URL").open(create=True)
    assert "a-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_too_slow_or_does_not_answer_at_all_is_given_up(monkeypatch):
    with running_server() as server:
        monkeypatch.setenv("EVENTS_URL", server.url())
        log = LogPlace(url_env="EVENTS_URL").open(create=True, seconds=1.0)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN IF NEW.item = 'i2' THEN PERFORM pg_sleep(30); END IF; RETURN NEW; END $$"
            )
            connection.execute(
                "CREATE TRIGGER slow BEFORE INSERT ON flatrec_events FOR EACH ROW EXECUTE FUNCTION slow()"
            )
        began = time.monotonic()
        with pytest.raises(LogUnavailableError, match="statement timeout"):
            log.append([event(1), event(2)])
        assert time.monotonic() - began < 5
        assert log.append([event(1)]) == 1
        stopped = processes(server)
        for number in stopped:
            os.kill(number, signal.SIGSTOP)
        try:
            for _ in range(2):  # by a connection that waited, and by a new one
                began = time.monotonic()
                with pytest.raises(LogUnavailableError):
                    log.newest(["ann"], 9)
                assert time.monotonic() - began < 8
        finally:
            for number in stopped:
                os.kill(number, signal.SIGCONT)
        assert len(log.newest(["ann"], 9)["ann"]) == 1
        log.close()


def processes(server):
    """The processes of a server."""
    first = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return [first, *map(int, children)]


def test_a_server_that_stops_is_found_again_and_has_all_events(monkeypatch):
    with running_server() as server:
        monkeypatch.setenv("EVENTS_URL", server.url())
        log = LogPlace(url_env="EVENTS_URL").open(create=True, seconds=1.0)
        assert log.append([event(number) for number in range(50)]) == 50
        server.stop()  # as if the machine lost its power
        for act in (lambda: log.append([event(99)]), lambda: log.newest(["ann"], 99)):
            with pytest.raises(LogUnavailableError):
                act()
        server.start()
        assert len(log.newest(["ann"], 99)["ann"]) == 50
        assert log.append([event(99)]) == 1
        server.stop()
        server.start()  # while nobody asked
        assert log.append([event(100)]) == 1
        log.close()
