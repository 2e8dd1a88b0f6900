"""Exports of a process of its own: killed in the middle, and read by others meanwhile."""

from __future__ import annotations

import time

import pytest

from tests.inference.export.database.exports import BLOCKS, RANKS, ROWS, Client, all_rows, export, process, until

SLOW = {  # triggers that take seconds, so that a process is killed during the last transaction
    "sqlite": (
        """CREATE TRIGGER slow BEFORE INSERT ON recommendations WHEN NEW.path = 'second' AND NEW."user" = 'u000001'
        BEGIN SELECT count(*) FROM (
            WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3e7) SELECT x FROM n
        ); END""",
        "DROP TRIGGER slow",
    ),
    "postgresql": (
        """CREATE FUNCTION sleep() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END' LANGUAGE plpgsql;
        CREATE TRIGGER slow AFTER INSERT ON recommendations EXECUTE FUNCTION sleep()""",
        "DROP TRIGGER slow ON recommendations",
    ),
}


def n_committed(client):
    """Blocks of an export that are committed."""
    name = "recommendations_flatrec_progress"
    return client(f"SELECT next_block FROM {name}")[0][0] if name in client.tables() else 0


def test_an_export_that_is_killed_in_the_middle_is_continued(url, client):
    export(url, "first")
    running = process(url, "second", pause=0.5)
    until(lambda: n_committed(client) >= 2)
    running.kill()
    running.wait()
    assert client.rows() == all_rows("first")
    done = export(url, "second")
    assert 2 <= done.first_block < BLOCKS
    assert done.rows == ROWS
    assert client.rows() == all_rows("second")
    assert client.tables() == {"recommendations"}


def test_an_export_that_is_killed_in_its_last_transaction_is_continued(url, client):
    export(url, "first")
    create, drop = SLOW[url.partition(":")[0]]
    client(create)
    running = process(url, "second")
    until(lambda: n_committed(client) == BLOCKS)
    time.sleep(0.5)  # now it is in its last transaction
    assert running.poll() is None
    running.kill()
    running.wait()
    assert client.rows() == all_rows("first")
    until(lambda: client(drop) == [])
    assert export(url, "second").first_block == BLOCKS
    assert client.rows() == all_rows("second")


SEEN = "SELECT count(*), count(DISTINCT path), min(path) FROM recommendations"


def polled(url, client, names, users):
    """What a reader sees while one export after the other is made, and at the end."""
    for name in names:
        running = process(url, name, users=users)
        while running.poll() is None:
            yield from client(SEEN)
        assert running.returncode == 0
    yield from client(SEEN)


@pytest.mark.slow
def test_a_reader_sees_one_whole_export_at_any_moment(url, client):
    users = 500
    export(url, "zero", make=lambda _: iter(()))
    seen = list(polled(url, client, ("first", "second", "third"), users))
    assert {row[:2] for row in seen} <= {(0, 0), (BLOCKS * RANKS * users, 1)}
    assert list(dict.fromkeys(row[2] for row in seen)) == [None, "first", "second", "third"]
    assert len(seen) > 10


@pytest.mark.slow
def test_a_reader_of_a_file_without_write_ahead_log_sees_one_whole_export(sqlite):
    client, users = Client(sqlite), 200
    export(sqlite, "zero", make=lambda _: iter(()))
    client("PRAGMA journal_mode = DELETE")
    seen = list(polled(sqlite, client, ("first", "second"), users))
    assert client("PRAGMA journal_mode") == [("delete",)]
    assert {row[:2] for row in seen} <= {(0, 0), (BLOCKS * RANKS * users, 1)}
    assert list(dict.fromkeys(row[2] for row in seen)) == [None, "first", "second"]
