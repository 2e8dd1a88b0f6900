"""What only a PostgreSQL server does: roles and their rights, dependent objects, and a server that goes away."""

from __future__ import annotations

import polars as pl
import pytest

from flatrec.inference.export.database import delete_users, export_table
from tests.inference.export.database.exports import BLOCKS, ROWS, Client, all_rows, block, export
from tests.postgresql_server import Server

pytestmark = pytest.mark.slow
AGAIN = "run the same command again to continue$"
OBJECTS = (
    "CREATE ROLE reader",
    "GRANT SELECT ON recommendations TO reader",
    "CREATE INDEX by_item ON recommendations (item)",
    "CREATE VIEW best AS SELECT * FROM recommendations WHERE rank = 1",
    "CREATE MATERIALIZED VIEW n_rows AS SELECT count(*) AS n FROM best",
    "ALTER TABLE recommendations ADD CONSTRAINT positive CHECK (score > 0)",
    "ALTER TABLE recommendations ADD COLUMN since timestamptz DEFAULT now()",
    "ALTER TABLE recommendations ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY",
    'ALTER TABLE recommendations ADD COLUMN number int GENERATED ALWAYS AS (substr("user", 2)::int) STORED',
    "ALTER TABLE recommendations ADD COLUMN shelf box",
    "COMMENT ON COLUMN recommendations.score IS 'higher is better'",
    "CREATE TABLE log (n int)",
    """CREATE FUNCTION count_rows() RETURNS trigger AS
    'BEGIN INSERT INTO log SELECT count(*) FROM added; RETURN NULL; END' LANGUAGE plpgsql SECURITY DEFINER""",
    """CREATE TRIGGER counted AFTER INSERT ON recommendations REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_rows()""",
)
DEFINITION = """SELECT oid, relfilenode, relacl::text, obj_description(oid), col_description(oid, 4) FROM pg_class
    WHERE relname IN ('recommendations', 'by_item', 'best', 'n_rows', 'recommendations_pkey') ORDER BY relname"""
ERROR = (
    "CREATE FUNCTION fail() RETURNS trigger AS 'BEGIN RAISE EXCEPTION USING ERRCODE = ''53100''; END' LANGUAGE plpgsql"
)


@pytest.fixture
def client(postgresql):
    return Client(postgresql)


@pytest.fixture
def shop(postgresql, client, server):
    """URL of a role without any rights on the tables of others; the role goes at the end."""
    client("CREATE ROLE shop LOGIN", "CREATE SCHEMA lists")
    yield server.url(user="shop", database=postgresql.rpartition("/")[2])
    client("DROP OWNED BY shop", "DROP ROLE shop")


def test_the_table_itself_stays_with_everything_that_depends_on_it(postgresql, client):
    export(postgresql, "first", comment="what the shop shows")
    client(*OBJECTS)
    before = client(DEFINITION)
    for name in ("second", "third"):
        export(postgresql, name, comment="not read, since the table is not new")
    assert client(DEFINITION) == before
    assert [row[3] for row in before].count("what the shop shows") == 1
    assert client.rows() == all_rows("third")
    assert client("SELECT count(*), min(path) FROM best") == [(ROWS // 5, "third")]
    assert client("SELECT n FROM log") == [(ROWS,), (ROWS,)]
    assert client("SELECT DISTINCT number FROM recommendations WHERE \"user\" = 'u000017'") == [(17,)]
    assert client("SET ROLE reader", "SELECT count(*) FROM recommendations") == [(ROWS,)]
    client("DROP TABLE recommendations CASCADE", "DROP ROLE reader")


def test_a_table_in_another_schema_gets_its_staging_table_there(postgresql, client):
    client("CREATE SCHEMA lists")
    export(postgresql, "first", table="lists.recommendations")
    export(postgresql, "second", table="lists.recommendations")
    assert client.rows("lists.recommendations") == all_rows("second")
    assert client.tables() == set()


def test_a_table_is_found_by_the_search_path(postgresql, client):
    client("CREATE SCHEMA lists")
    export(postgresql, "first", table="lists.recommendations")
    export(f"{postgresql}?options=-csearch_path%3Dlists,public", "second")
    assert client.rows("lists.recommendations") == all_rows("second")


def test_a_name_of_63_bytes_is_cut_for_the_staging_table_and_no_longer_one_is_taken(postgresql, client):
    names = ["ü" * 31, "ü" * 30 + "ab", "ü" * 30 + "ac"]
    for name in names:
        export(postgresql, name, table=name)
    assert client.tables() == set(names)
    with pytest.raises(
        ValueError, match=r"is not the name of a table; write table or schema.table, each of at most 63"
    ):
        export(postgresql, "first", table="ü" * 32)


def test_a_table_in_partitions_is_replaced(postgresql, client):
    columns = '"user" text, rank int, item text, score float, path text'
    client(
        f"CREATE TABLE recommendations ({columns}) PARTITION BY LIST (rank)",
        "CREATE TABLE best PARTITION OF recommendations FOR VALUES IN (1)",
        "CREATE TABLE others PARTITION OF recommendations DEFAULT",
    )
    for name in ("first", "second"):
        export(postgresql, name)
    assert client.rows() == all_rows("second")


def test_space_of_deleted_rows_is_used_again(postgresql, client):
    sizes = []
    for name in ("g1", "g2", "g3", "g4", "g5"):
        export(postgresql, name)
        sizes += client("SELECT pg_relation_size('recommendations')")[0]
    assert sizes[1] <= 2 * sizes[0] + 8192
    assert sizes[4] == sizes[1]


@pytest.mark.parametrize("right", ["SELECT", "INSERT", "DELETE"])
def test_a_right_that_is_missing_is_named(postgresql, client, shop, right):
    export(postgresql, "first", table="lists.recommendations")
    granted = ", ".join({"SELECT", "INSERT", "DELETE"} - {right})
    client(f"GRANT {granted} ON lists.recommendations TO shop", "GRANT ALL ON SCHEMA lists TO shop")
    with pytest.raises(
        PermissionError, match=rf"^the user may not {right} in table lists.recommendations; GRANT {right}"
    ):
        export(shop, "second", table="lists.recommendations")
    client(f"GRANT {right} ON lists.recommendations TO shop")
    assert export(shop, "second", table="lists.recommendations").rows == ROWS


def test_a_role_that_may_not_create_the_staging_table_is_told_so(postgresql, client, shop):
    export(postgresql, "first", table="lists.recommendations")
    client("GRANT ALL ON lists.recommendations TO shop", "GRANT USAGE ON SCHEMA lists TO shop")
    with pytest.raises(
        PermissionError, match=r"permission denied for schema lists; grant the right to the user and run"
    ):
        export(shop, "second", table="lists.recommendations")
    assert client.rows("lists.recommendations") == all_rows("first")


def test_policies_that_hide_rows_do_not_leave_old_rows_beside_new_ones(postgresql, client, shop):
    export(postgresql, "first", table="lists.recommendations")
    client(
        "GRANT ALL ON lists.recommendations TO shop",
        "GRANT ALL ON SCHEMA lists TO shop",
        "ALTER TABLE lists.recommendations ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY best ON lists.recommendations USING (rank = 1) WITH CHECK (true)",
    )
    with pytest.raises(PermissionError, match=r"affected by row-level security policy.*; grant the right"):
        export(shop, "second", table="lists.recommendations")
    assert client.rows("lists.recommendations") == all_rows("first")


def test_a_table_that_others_reference_is_refused(postgresql, client):
    export(postgresql, "first")
    client('CREATE TABLE clicks ("user" text, rank int, FOREIGN KEY ("user", rank) REFERENCES recommendations)')
    with pytest.raises(
        ValueError, match=r"^foreign keys of clicks reference table public.recommendations, whose rows an"
    ):
        export(postgresql, "second")


def test_a_nul_character_is_named_before_the_server_sees_it(postgresql, client):
    frame = block(0, "first").with_columns(user=pl.lit("u\0x"))
    with pytest.raises(
        ValueError, match=r"^user 'u\\x00x' contains a NUL character, which PostgreSQL cannot store; remove"
    ):
        export(postgresql, "first", make=lambda _: iter([frame]))
    assert "recommendations" not in client.tables()


def test_an_id_that_is_too_long_for_a_column_or_an_index_is_one_line(postgresql, client):
    client('CREATE TABLE short ("user" varchar(5))')
    for table, user, said in (
        ("short", "u" * 6, r"value too long for type character varying\(5\); the table is unchanged; correct"),
        (
            "long",
            "".join(map(chr, range(0x4E00, 0x4E00 + 3000))),
            r"index row .* maximum size is .*; the table is unchanged; corr",
        ),
    ):
        frame = block(0, "first").select("user").head(1).with_columns(user=pl.lit(user))
        with pytest.raises(ValueError, match=said):
            export_table(
                postgresql, table, frame.schema, lambda start, made=frame: iter([made][start:]), generation="g"
            )
    assert client("SELECT * FROM short") == []


def test_a_server_that_stops_in_the_middle_is_one_line_and_the_export_is_continued(server, postgresql, client):
    export(postgresql, "first")

    def stopping(start):
        for number in range(start, BLOCKS):
            if number == 3:
                server.stop("immediate")
            yield block(number, "second")

    try:
        with pytest.raises(
            ConnectionError, match=rf"^table recommendations of postgresql://flatrec@127.*{AGAIN}"
        ) as lost:
            export(postgresql, "second", make=stopping)
        assert "no reader sees a part of the export" in str(lost.value)
        with pytest.raises(
            ConnectionError,
            match=r"^cannot connect to postgresql://flatrec@.*(refused|closed the connection).*; correct the URL",
        ):
            export(postgresql, "second")
    finally:
        server.start()
    assert client.rows() == all_rows("first")
    assert export(postgresql, "second").first_block == 3
    assert client.rows() == all_rows("second")


def test_a_session_that_an_administrator_ends_is_one_line(postgresql, client):
    export(postgresql, "first")

    def ending(start):
        for number in range(start, BLOCKS):
            if number == 3:
                client("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            yield block(number, "second")

    with pytest.raises(ConnectionError, match=AGAIN):
        export(postgresql, "second", make=ending)
    assert export(postgresql, "second").first_block == 3


def test_a_full_disk_of_the_server_is_one_line_and_the_export_is_continued(postgresql, client):
    export(postgresql, "first")
    client(ERROR, "CREATE TRIGGER full_disk AFTER INSERT ON recommendations EXECUTE FUNCTION fail()")
    with pytest.raises(OSError, match=rf": the disk of the server is full; free some space and {AGAIN}"):
        export(postgresql, "second")
    assert client.rows() == all_rows("first")
    client("DROP TRIGGER full_disk ON recommendations")
    assert export(postgresql, "second").first_block == BLOCKS


def test_a_transaction_that_began_before_the_export_sees_the_old_rows_to_its_end(postgresql, client):
    export(postgresql, "first")
    with client.engine.execution_options(isolation_level="REPEATABLE READ").connect() as reader:
        count = "SELECT count(*), min(path), max(path) FROM recommendations"
        assert reader.exec_driver_sql(count).one() == (ROWS, "first", "first")
        export(postgresql, "second", lock_timeout=1.0)
        assert reader.exec_driver_sql(count).one() == (ROWS, "first", "first")
        reader.rollback()
        assert reader.exec_driver_sql(count).one() == (ROWS, "second", "second")


def test_users_are_deleted_only_with_the_right_to_do_it(postgresql, client, shop):
    export(postgresql, "first", table="lists.recommendations")
    client("GRANT SELECT ON lists.recommendations TO shop", "GRANT USAGE ON SCHEMA lists TO shop")
    with pytest.raises(PermissionError, match=r"permission denied for table recommendations; grant the right"):
        delete_users(shop, "lists.recommendations", ["u000001"], column="user")
    assert client.rows("lists.recommendations") == all_rows("first")


@pytest.fixture(scope="module")
def strict_server():
    """A server that asks for passwords."""
    pytest.importorskip("psycopg")
    made = Server("-c", "fsync=off", "-c", "password_encryption=scram-sha-256")
    try:
        made.start()
        Client(made.url())("CREATE ROLE clerk LOGIN PASSWORD 'right-secret'")
        made.require_passwords("clerk")
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("password", ["wrong-secret", None])
def test_a_wrong_password_is_one_line_that_does_not_show_it(strict_server, password, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    url = strict_server.url(user="clerk", password=password)
    with pytest.raises(ConnectionError, match=r"^cannot connect to postgresql://clerk@127[^\n]*password") as refused:
        export(url, "first")
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_the_right_password_is_taken_and_shown_in_no_message(strict_server):
    url = strict_server.url(user="clerk", password="right-secret")
    with pytest.raises(PermissionError, match=r"permission denied for schema public") as refused:
        export(url, "first")
    assert "secret" not in str(refused.value)


def test_a_database_that_does_not_exist_is_one_line(server):
    with pytest.raises(ConnectionError, match=r'database "nothing" does not exist'):
        export(server.url(database="nothing"), "first")
