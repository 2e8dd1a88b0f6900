"""Exports into a table, in SQLite and in PostgreSQL."""

from __future__ import annotations

import polars as pl
import pytest

from flatrec.inference.export.database import export_table, postgresql, tables
from flatrec.utils.locks import InUseError
from tests.inference.export.database.exports import (
    BLOCKS,
    KEY,
    ROWS,
    SCHEMA,
    Client,
    all_rows,
    block,
    blocks,
    export,
)

TABLE = """CREATE TABLE recommendations (
    "user" VARCHAR(200) NOT NULL, rank INTEGER NOT NULL, item TEXT, score DOUBLE PRECISION CHECK (score > 0), path TEXT,
    note VARCHAR(20) DEFAULT 'own', PRIMARY KEY ("user", rank))"""
STRANGE = ["", "\\N", "\\.", "a\nb\r\n\\.\nc", "tab\there", "o'clock", '"quoted"', "100%s :x", "naïve 🛒", "x" * 1500]


class StoppedError(Exception):
    """Ends an export in the middle."""


def stopping(name, at):
    """The blocks of an export that is stopped before a block."""

    def those_from(start):
        for number in range(start, BLOCKS):
            if number == at:
                raise StoppedError
            yield block(number, name)

    return those_from


def test_a_new_table_has_the_rows_of_the_blocks_and_nothing_else_stays(url, client):
    done = export(url, "first", comment="it's new")
    assert (done.rows, done.first_block) == (ROWS, 0)
    assert client.rows() == all_rows("first")
    assert client.tables() == {"recommendations"}


def test_an_export_replaces_all_rows(url, client):
    export(url, "first")
    export(url, "second")
    assert client.rows() == all_rows("second")


def test_the_key_of_a_new_table_is_its_primary_key(url, client):
    export(url, "first")
    row = "('u000000', 1, 'i', 1.0, 'known')"
    with pytest.raises(Exception, match="(?i)unique"):
        client(f"INSERT INTO recommendations VALUES {row}")


def test_every_text_comes_back_as_it_was(url, client):
    frame = pl.DataFrame({"user": STRANGE, "rank": range(len(STRANGE))}, schema={"user": pl.String, "rank": pl.Int64})
    export_table(url, "a%b c", frame.schema, lambda start: iter([frame][start:]), generation="g", key=("rank",))
    assert client('SELECT "user" FROM "a%b c" ORDER BY rank'.replace("%", "%%" if "postgres" in url else "%")) == [
        (text,) for text in STRANGE
    ]


def test_numbers_booleans_and_nulls_come_back_as_they_were(url, client):
    columns = {
        "user": ["a", "b"],
        "count": [2**53 + 1, None],
        "score": [1e-300, -1 / 3],
        "short": [0.1, None],
        "flag": [True, False],
    }
    frame = pl.DataFrame(columns).cast({"short": pl.Float32})
    export_table(url, "kinds", frame.schema, lambda start: iter([frame][start:]), generation="g", key=("user",))
    read = client('SELECT "user", "count", score, short, flag FROM kinds ORDER BY "user"')
    assert [row[:3] for row in read] == [("a", 2**53 + 1, 1e-300), ("b", None, -1 / 3)]
    assert read[0][3] == pytest.approx(0.1, rel=1e-7)
    assert (read[1][3], *(row[4] for row in read)) == (None, True, False)


def test_a_stopped_export_is_continued_behind_its_last_block(url, client):
    export(url, "first")
    with pytest.raises(StoppedError):
        export(url, "second", make=stopping("second", at=4))
    assert client.rows() == all_rows("first")
    asked = []

    def those_from(start):
        asked.append(start)
        return blocks("second")(start)

    done = export(url, "second", make=those_from)
    assert (done.rows, done.first_block, asked) == (ROWS, 4, [4])
    assert client.rows() == all_rows("second")


def test_blocks_of_another_generation_are_not_used(url, client):
    with pytest.raises(StoppedError):
        export(url, "first", make=stopping("first", at=4))
    assert export(url, "second").first_block == 0
    assert client.rows() == all_rows("second")


def test_blocks_of_other_column_types_are_not_used(url, client):
    client(TABLE)
    with pytest.raises(StoppedError):
        export(url, "first", make=stopping("first", at=4))
    client("DROP TABLE recommendations", TABLE.replace("VARCHAR(200)", "VARCHAR(300)"))
    assert export(url, "first").first_block == 0
    assert client.rows() == all_rows("first")


def test_what_was_made_of_a_table_stays(url, client):
    client(
        TABLE,
        "CREATE INDEX by_item ON recommendations (item)",
        "CREATE VIEW best AS SELECT * FROM recommendations WHERE rank = 1",
    )
    for name in ("first", "second"):
        export(url, name)
        assert len(client("SELECT * FROM best WHERE path = '%s'" % name)) == ROWS // 5  # noqa: UP031
    assert client("SELECT DISTINCT note FROM recommendations") == [("own",)]
    with pytest.raises(Exception, match=r"(?i)check"):
        client("UPDATE recommendations SET score = -1")


def test_rows_that_the_table_refuses_leave_it_unchanged_and_are_not_asked_for_again(url, client):
    client(TABLE)
    export(url, "first")
    before = client.rows()
    client("CREATE UNIQUE INDEX once ON recommendations (\"user\") WHERE path = 'second'")
    with pytest.raises(ValueError, match=r"^table recommendations of .*(?i:unique).*; the table is unchanged; "):
        export(url, "second")
    assert client.rows() == before
    client("DROP INDEX once")
    assert export(url, "second").first_block == BLOCKS
    assert {row[4] for row in client.rows()} == {"second"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("item TEXT", "thing TEXT", r"^table .*recommendations has no columns \['item'\]; it has \['user', 'rank', "),
        ("item TEXT", "item INTEGER", r"^column 'item' of table .* has the type INTEGER, but the export needs text; "),
        (
            "score DOUBLE PRECISION CHECK (score > 0)",
            "score TEXT",
            r"^column 'score' .* TEXT, but the export needs a floating-point number; ",
        ),
        ("rank INTEGER", "rank TEXT", r"^column 'rank' .* TEXT, but the export needs an integer; "),
        ("DEFAULT 'own'", "NOT NULL", r"^table .* needs values of columns \['note'\]; give these columns a default$"),
        ("item TEXT", "item TEXT GENERATED ALWAYS AS ('x') STORED", r"^column 'item' .* is generated, so that nothing"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_before_anything_is_written(url, client, old, new, said):
    assert old in TABLE
    client(TABLE.replace(old, new))
    with pytest.raises(ValueError, match=said):
        export(url, "first")
    assert client.tables() == {"recommendations"}


def test_a_view_is_refused(url, client):
    client(TABLE, "CREATE VIEW best AS SELECT * FROM recommendations")
    with pytest.raises(ValueError, match=r"best is not a table; choose another name"):
        export(url, "first", table="best")


def test_a_table_of_somebody_else_with_the_name_of_the_staging_table_is_not_dropped(url, client):
    client("CREATE TABLE recommendations_flatrec_staging (precious INTEGER)")
    with pytest.raises(ValueError, match=r"recommendations_flatrec_progress are not both flatrec's own tables"):
        export(url, "first")
    assert client.tables() == {"recommendations_flatrec_staging"}


def test_two_exports_into_a_table_at_once_are_refused(url, client, monkeypatch):
    monkeypatch.setattr(postgresql, "_PATIENCE", 1)

    def those_from(start):
        with pytest.raises(InUseError, match=r"^another export writes into .*; wait for it to end$"):
            export(url, "second")
        return blocks("first")(start)

    export(url, "first", make=those_from)
    assert client.rows() == all_rows("first")


@pytest.mark.parametrize("table", ["", ".", "a.b.c", "a\0b", "a.", ".b"])
def test_a_name_that_no_table_can_have_is_refused(url, table):
    with pytest.raises(ValueError, match=r"is not the name of a table"):
        export(url, "first", table=table)


def test_a_type_that_no_column_gets_is_refused(url, client):
    schema = pl.Schema({"user": pl.String, "items": pl.List(pl.String)})
    with pytest.raises(ValueError, match=r"^columns of type List\(String\) cannot be exported; cast them"):
        export_table(url, "lists", schema, lambda _: iter([]), generation="g", key=("user",))
    assert client.tables() == set()


def test_a_block_with_other_columns_is_refused(url):
    with pytest.raises(ValueError, match=r"^block 0 has the columns"):
        export(url, "first", make=lambda _: iter([block(0, "first").drop("path")]))


def test_users_are_deleted_with_the_rows_of_a_stopped_export(url, client):
    export(url, "first")
    with pytest.raises(StoppedError):
        export(url, "second", make=stopping("second", at=4))
    gone = ["u000003", "u000077", "nobody"]
    assert tables.delete_users(url, "recommendations", gone, column="user") == 10
    assert client.rows() == [row for row in all_rows("first") if row[0] not in gone]
    assert client.tables() == {"recommendations"}


def test_many_users_are_deleted_at_once(url, client):
    export(url, "first")
    users = [f"u{number:06}" for number in range(1200)]
    assert tables.delete_users(url, "recommendations", users, column="user") == ROWS
    assert client.rows() == []


def test_users_of_a_table_or_column_that_is_not_there_are_an_error(url):
    with pytest.raises(ValueError, match=r"^there is no table .*nothing in .*; correct its name$"):
        tables.delete_users(url, "nothing", ["a"], column="user")
    export(url, "first")
    with pytest.raises(ValueError, match=r"has no column 'customer'; name the column with the user ids$"):
        tables.delete_users(url, "recommendations", ["a"], column="customer")


def test_another_session_that_keeps_a_lock_ends_the_export_in_one_line(url, client):
    client(TABLE)
    export(url, "first")
    before = client.rows()
    engine = Client(url).engine
    with engine.connect() as other:
        other.exec_driver_sql("BEGIN" if "postgres" in url else "BEGIN IMMEDIATE")
        other.exec_driver_sql("UPDATE recommendations SET note = 'x' WHERE rank = 1")
        with pytest.raises(TimeoutError, match=r"^table recommendations of .* for too long; .*the same command again"):
            export(url, "second", lock_timeout=0.1)
        assert client.rows() == before
        other.exec_driver_sql("ROLLBACK")
    export(url, "second")
    assert {row[4] for row in client.rows()} == {"second"}


def test_columns_of_the_schema_may_stand_in_another_order_in_the_table(url, client):
    columns = '(path TEXT, score DOUBLE PRECISION, item TEXT, rank INTEGER, "user" TEXT)'
    client(f"CREATE TABLE recommendations {columns}")
    export(url, "first")
    assert client.rows() == all_rows("first")
    assert list(SCHEMA)[:2] == list(KEY)
