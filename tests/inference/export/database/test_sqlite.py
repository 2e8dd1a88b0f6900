"""What only SQLite does: journals, and a file that something is wrong with."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from flatrec.inference.export.database import delete_users
from flatrec.inference.export.database import sqlite as backend
from tests.inference.export.database.exports import BLOCKS, all_rows, export

TRIGGERS = """
CREATE TABLE log (what TEXT);
CREATE TRIGGER deleted AFTER DELETE ON recommendations BEGIN INSERT INTO log VALUES ('deleted'); END;
CREATE TRIGGER inserted AFTER INSERT ON recommendations BEGIN INSERT INTO log VALUES ('inserted'); END;
CREATE INDEX by_item ON recommendations (item);
CREATE VIEW best AS SELECT item FROM recommendations WHERE rank = 1;
CREATE TABLE other (name TEXT, rank INTEGER, FOREIGN KEY (name, rank) REFERENCES recommendations ON DELETE CASCADE);
INSERT INTO other VALUES ('u000001', 1);
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


def ask(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def test_a_new_file_has_a_write_ahead_log_and_an_existing_file_keeps_its_journal(sqlite, path):
    export(sqlite, "first")
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]
    ask(path, "PRAGMA journal_mode = DELETE")
    export(sqlite, "second")
    assert ask(path, "PRAGMA journal_mode") == [("delete",)]


def test_readers_of_a_write_ahead_log_do_not_wait_for_an_export(sqlite, path):
    export(sqlite, "first")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT * FROM recommendations").fetchall()
        export(sqlite, "second", lock_timeout=0.1)
        assert reader.execute("SELECT * FROM recommendations").fetchall() == before
        reader.execute("COMMIT")
    assert sorted(ask(path, "SELECT * FROM recommendations")) == all_rows("second")


def test_all_definitions_of_a_file_stay_and_its_triggers_see_every_row(sqlite, path):
    export(sqlite, "first")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TRIGGERS)
    definitions = ask(path, "SELECT * FROM sqlite_master WHERE name NOT LIKE '%flatrec%' ORDER BY name")
    export(sqlite, "second")
    assert [row[:3] for row in definitions] == [
        row[:3] for row in ask(path, "SELECT * FROM sqlite_master ORDER BY name")
    ]
    assert ask(path, "SELECT what, count(*) FROM log GROUP BY what") == [("deleted", 600), ("inserted", 600)]
    assert ask(path, "SELECT count(*) FROM best") == [(120,)]
    assert ask(path, "SELECT * FROM other") == [("u000001", 1)]


def test_nothing_of_a_deleted_user_stays_in_the_file(sqlite, path):
    export(sqlite, "first")
    assert b"u000033" in path.read_bytes()
    delete_users(sqlite, "recommendations", ["u000033"], column="user")
    assert b"u000033" not in path.read_bytes()
    assert b"u000034" in path.read_bytes()


def test_a_full_disk_leaves_the_rows_and_the_export_is_continued(sqlite, path, monkeypatch):
    export(sqlite, "first")
    ask(path, "VACUUM")
    (pages,) = ask(path, "PRAGMA page_count")[0]
    prepare = backend._prepare

    def full(connection, *, is_new):
        prepare(connection, is_new=is_new)
        connection.execute(f"PRAGMA max_page_count = {pages + 4}")  # SQLite takes it for a full disk

    monkeypatch.setattr(backend, "_prepare", full)
    said = r"^table recommendations of sqlite:///.*shop.db: the disk is full; free some space and run the same command"
    with pytest.raises(OSError, match=said):
        export(sqlite, "second")
    assert sorted(ask(path, "SELECT * FROM recommendations")) == all_rows("first")
    monkeypatch.undo()
    assert 0 < export(sqlite, "second").first_block <= BLOCKS
    assert sorted(ask(path, "SELECT * FROM recommendations")) == all_rows("second")


def test_a_file_that_is_no_database_is_one_line_and_stays(sqlite, path):
    path.write_text("user,item\n" * 200)
    with pytest.raises(ValueError, match=r"the file is not a SQLite database; choose another file$"):
        export(sqlite, "first")
    assert path.read_text() == "user,item\n" * 200


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^there is no folder .*nowhere for the database; create it"):
        export(f"sqlite:///{tmp_path}/nowhere/shop.db", "first")


def test_a_folder_in_place_of_the_file_is_one_line(tmp_path):
    with pytest.raises(OSError, match=r"cannot connect to sqlite:///.*: it cannot be opened; make the file"):
        export(f"sqlite:///{tmp_path}", "first")


def test_other_schemas_than_main_are_refused(sqlite):
    export(sqlite, "first", table="main.recommendations")
    with pytest.raises(
        ValueError, match=r"^'shop.recommendations' is not the name of a table in SQLite; write the name"
    ):
        export(sqlite, "first", table="shop.recommendations")
