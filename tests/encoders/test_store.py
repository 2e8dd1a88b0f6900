"""What is kept of vectors."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from flatrec.encoders.store import Known, VectorStore, key_of, usual_path

ONE = Known(np.array([1.5, -2.0], dtype=np.float32), ("a", "b c"))


def test_what_was_put_in_comes_out_in_another_process_too(tmp_path):
    with VectorStore(tmp_path / "new" / "store") as store:
        store.put({b"k": ONE, b"l": Known(np.zeros(2, dtype=np.float32))})
    with VectorStore(tmp_path / "new" / "store") as store:
        found = store.get([b"k", b"l", b"m"], 2)
    assert found.keys() == {b"k", b"l"}
    assert found[b"k"].vector.tolist() == [1.5, -2.0]
    assert found[b"k"].remarks == ("a", "b c")
    assert found[b"l"].remarks == ()


def test_many_keys_are_asked_for_at_once():
    with VectorStore(None) as store:
        store.put({str(number).encode(): Known(np.full(1, number, dtype=np.float32)) for number in range(2000)})
        found = store.get([str(number).encode() for number in range(2500)], 1)
    assert len(found) == 2000
    assert found[b"1999"].vector[0] == 1999


def test_a_vector_that_cannot_be_right_is_not_there():
    with VectorStore(None) as store:
        store.put({b"short": Known(np.ones(1, dtype=np.float32)), b"nan": Known(np.full(2, np.nan, dtype=np.float32))})
        assert store.get([b"short", b"nan"], 2) == {}


def test_keys_tell_encoders_and_inputs_apart():
    assert len({key_of("a", b"bc"), key_of("ab", b"c"), key_of("a", b"b"), key_of("a", b"bc")}) == 3


def test_a_file_that_is_no_store_is_one_line(tmp_path):
    (tmp_path / "store").write_bytes(b"something else" * 100)
    with pytest.raises(OSError, match=r"the vectors in .*store cannot be used .*delete the file, or set FLATREC_CACHE"):
        VectorStore(tmp_path / "store")
    assert (tmp_path / "store").read_bytes() == b"something else" * 100


def test_a_store_of_another_kind_is_one_line(tmp_path):
    with sqlite3.connect(tmp_path / "store") as database:
        database.execute("create table vectors (x int)")
    database.close()
    with VectorStore(tmp_path / "store") as store, pytest.raises(OSError, match="cannot be used"):
        store.get([b"k"], 2)


def test_the_folder_is_that_of_all_that_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path))
    assert usual_path() == tmp_path / "vectors.sqlite3"
    monkeypatch.setenv("FLATREC_CACHE", "off")
    assert usual_path() is None
