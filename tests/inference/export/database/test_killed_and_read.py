"""Exports of a process of its own: killed in the middle, and read by others meanwhile."""

from __future__ import annotations

import time

from tests.inference.export.database.exports import BLOCKS, RANKS, ROWS, all_rows, export, process, until

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


def test_a_reader_sees_one_whole_export_at_any_moment(url, client):
    users = 500
    export(url, "zero", make=lambda _: iter(()))
    seen = []
    for name in ("first", "second", "third"):
        running = process(url, name, users=users)
        while running.poll() is None:
            seen += client("SELECT count(*), count(DISTINCT path), min(path) FROM recommendations")
        assert running.returncode == 0
    n_rows = BLOCKS * RANKS * users
    seen += client("SELECT count(*), count(DISTINCT path), min(path) FROM recommendations")
    names = [name for _, _, name in seen]
    assert {row[:2] for row in seen} <= {(0, 0), (n_rows, 1)}
    assert list(dict.fromkeys(names)) == [None, "first", "second", "third"]
    assert len(seen) > 10
