"""What is kept of vectors."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from flatrec.content.encoders.vector_cache import CachedVector, VectorCache, default_path, vector_key
from flatrec.utils.keyed_table import KeyedTable, table_of

ONE = CachedVector(np.array([1.5, -2.0], dtype=np.float32), ("a", "b c"))


def test_what_was_put_in_comes_out_in_another_process_too(tmp_path):
    with VectorCache(tmp_path / "new" / "store") as store:
        store.put({b"k": ONE, b"l": CachedVector(np.zeros(2, dtype=np.float32))})
    with VectorCache(tmp_path / "new" / "store") as store:
        found = store.get([b"k", b"l", b"m"], 2)
    assert found.keys() == {b"k", b"l"}
    assert found[b"k"].vector.tolist() == [1.5, -2.0]
    assert found[b"k"].warnings == ("a", "b c")
    assert found[b"l"].warnings == ()


def test_many_keys_are_asked_for_at_once():
    with VectorCache(None) as store:
        store.put({str(number).encode(): CachedVector(np.full(1, number, dtype=np.float32)) for number in range(2000)})
        found = store.get([str(number).encode() for number in range(2500)], 1)
    assert len(found) == 2000
    assert found[b"1999"].vector[0] == 1999


def test_a_vector_that_cannot_be_right_is_not_there():
    with VectorCache(None) as store:
        store.put(
            {
                b"short": CachedVector(np.ones(1, dtype=np.float32)),
                b"nan": CachedVector(np.full(2, np.nan, dtype=np.float32)),
            }
        )
        assert store.get([b"short", b"nan"], 2) == {}


def test_keys_tell_encoders_and_inputs_apart():
    assert len({vector_key("a", b"bc"), vector_key("ab", b"c"), vector_key("a", b"b"), vector_key("a", b"bc")}) == 3


def test_a_file_that_is_no_store_is_one_line(tmp_path):
    (tmp_path / "store").write_bytes(b"something else" * 100)
    with pytest.raises(OSError, match=r"the vectors in .*store cannot be used .*delete the file, or set FLATREC_CACHE"):
        VectorCache(tmp_path / "store")
    assert (tmp_path / "store").read_bytes() == b"something else" * 100


def test_a_store_of_another_kind_is_one_line(tmp_path):
    with sqlite3.connect(tmp_path / "store") as database:
        database.execute(f"create table {table_of('vectors')} (x int)")
    database.close()
    with VectorCache(tmp_path / "store") as store, pytest.raises(OSError, match="cannot be used"):
        store.get([b"k"], 2)


def test_the_folder_is_that_of_all_that_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path))
    assert default_path() == tmp_path / "vectors.sqlite3"
    monkeypatch.setenv("FLATREC_CACHE", "off")
    assert default_path() is None


def changed(path, command, *values):
    with sqlite3.connect(path) as database:
        assert database.execute(command.format(table_of("vectors")), values).rowcount > 0
    database.close()


@pytest.mark.parametrize(
    ("command", "value"),
    [
        ("update {} set value = ? where key = x'6b'", np.array([1.5, -2.5], dtype="<f4").tobytes()),
        ("update {} set value = ? where key = x'6b'", np.array([1.5], dtype="<f4").tobytes()),
        ("update {} set warnings = ? where key = x'6b'", "a"),
        ("update {} set digest = ? where key = x'6b'", "0" * 32),
        ("update {} set value = (select value from {} where key = x'6c') where key = x'6b' and x'' != ?", b"x"),
        ("update {} set key = x'6b' where key = ?", b"l"),
    ],
)
def test_a_row_that_was_changed_is_not_there_and_is_warned_of_once(tmp_path, caplog, command, value):
    with VectorCache(tmp_path / "store") as store:
        store.put({name: ONE._replace(vector=ONE.vector + ord(name)) for name in (b"k", b"l", b"m", b"n")})
    if "set key" in command:
        changed(tmp_path / "store", "delete from {} where key = ?", b"k")
    changed(tmp_path / "store", command.replace("from {}", f"from {table_of('vectors')}"), value)
    changed(tmp_path / "store", "update {} set warnings = ? where key = x'6e'", "x")
    with VectorCache(tmp_path / "store") as store:
        for _ in range(2):
            found = store.get([b"k", b"m", b"n"], 2)
            assert found.keys() == {b"m"}
            assert found[b"m"].vector.tolist() == (ONE.vector + ord("m")).tolist()
    assert [one.message for one in caplog.records] == [
        f"some of the vectors in {tmp_path / 'store'} are damaged; they are computed again"
    ]
    with VectorCache(tmp_path / "store") as store:
        store.put({b"k": ONE})
        assert store.get([b"k"], 2)[b"k"].vector.tolist() == ONE.vector.tolist()


def test_a_crafted_vector_of_another_shape_is_not_there():
    with VectorCache(None) as store:
        for number, value in enumerate((b"", b"x" * 7, b"x" * 12, "text", 3)):
            store._table.put([(bytes([number]), value, "")])
        assert store.get([bytes([number]) for number in range(5)], 2) == {}
        assert store.get([], 2) == {}


def test_rows_from_before_digests_are_not_used_and_said_once(tmp_path, caplog):
    with sqlite3.connect(tmp_path / "store") as database:
        database.execute("create table vectors (key blob primary key, value blob not null, warnings text not null)")
        database.execute("insert into vectors values (x'6b', x'0000803f00000040', '')")
    database.close()
    for _ in range(2):
        with VectorCache(tmp_path / "store") as store:
            assert store.get([b"k"], 2) == {}
    assert len(caplog.records) == 1
    assert "before flatrec kept digests" in caplog.text


def test_a_full_disk_is_said_with_the_name_of_the_file(tmp_path):
    store = VectorCache(tmp_path / "store")
    store._table._database.execute("pragma max_page_count = 4")
    with pytest.raises(
        OSError, match=r"the vectors in .*store cannot be used \(the disk is full\); free some space, or"
    ):
        store.put({bytes([number]): ONE._replace(vector=np.ones(2000, dtype=np.float32)) for number in range(9)})
    store.__exit__()


def test_who_waits_for_another_process_can_be_interrupted(tmp_path, monkeypatch):
    def interrupt(_seconds):
        raise KeyboardInterrupt

    table = KeyedTable(tmp_path / "store", "vectors", ("value blob",))
    with sqlite3.connect(tmp_path / "store") as other:
        other.execute("begin immediate")
        monkeypatch.setattr("flatrec.utils.keyed_table.time.sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            table.put([(b"k", b"v")])
    other.close()
    table.close()
