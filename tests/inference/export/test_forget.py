"""Exports without some users: the other rows stay byte for byte."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest

from flatrec.inference.export import export_recommendations, export_similar, export_vectors
from flatrec.inference.export.forget import Removal, forget_in_export
from flatrec.inference.export.manifests import stated
from flatrec.inference.export.options import ExportOptions
from flatrec.utils.shards import Shard
from tests.inference.shops import dataset, recommender

USERS = ["ann", 'bob,"x"', "cat"]  # an id that CSV quotes
DATA = dataset(
    USERS, ["cup", "jug", "mug", "pan"], [("ann", "cup", 0), (USERS[1], "jug", 0), ("cat", "pan", 0), ("cat", "mug", 0)]
)
ENDINGS = ["parquet", "csv", "jsonl"]


WHOLE = Shard()


def options(users=None, shard=WHOLE):
    return ExportOptions(k=2, users=users, shard=shard)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_is_as_if_the_user_had_never_been_exported(ending, tmp_path):
    file, other = tmp_path / f"recs.{ending}", tmp_path / f"other.{ending}"
    export_recommendations(recommender(DATA), file, options())
    before, _ = stated(file)
    export_recommendations(recommender(DATA), other, options(["ann", "cat"]))
    assert forget_in_export(file, [USERS[1], "nobody"]) == [Removal(file, 2)]
    assert file.read_bytes() == other.read_bytes()
    identity, again = stated(file)
    assert identity == before
    assert (again.rows, again.lists, dict(again.paths)) == (4, 2, {"known": 2})


@pytest.mark.parametrize("ending", ENDINGS)
def test_all_shards_are_searched_also_those_without_a_header(ending, tmp_path, monkeypatch):
    monkeypatch.setattr("flatrec.inference.export.blocks.BLOCK_LISTS", 1)
    monkeypatch.setattr("flatrec.inference.export.blocks.BLOCK_USERS", 1)
    out = tmp_path / f"recs.{ending}"
    for index in (1, 2, 3):
        export_recommendations(recommender(DATA), out, options(shard=Shard(index, 3)))
    files = [Shard(index, 3).file(out) for index in (1, 2, 3)]
    before = [file.read_bytes() for file in files]
    removed = forget_in_export(out, ["cat"])
    assert [one.file for one in removed] == files
    assert sum(one.rows for one in removed) == 2
    for file, content, one in zip(files, before, removed, strict=True):
        assert (file.read_bytes() == content) == (one.rows == 0)
        assert b"cat" not in file.read_bytes()
        assert stated(file) is not None


def test_a_file_without_the_user_is_left_alone(tmp_path):
    export_recommendations(recommender(DATA), tmp_path / "recs.csv", options())
    before = (tmp_path / "recs.csv").stat().st_mtime_ns
    assert forget_in_export(tmp_path / "recs.csv", ["nobody"]) == [Removal(tmp_path / "recs.csv", 0)]
    assert (tmp_path / "recs.csv").stat().st_mtime_ns == before


def test_vectors_are_removed_from_all_three_files(tmp_path):
    folder = tmp_path / "vectors"
    export_vectors(recommender(DATA), folder)
    items = (folder / "items.npy").read_bytes()
    assert forget_in_export(folder, ["ann", "nobody"]) == [Removal(folder, 1)]
    assert np.load(folder / "users.npy").tolist() == [[0.0, 1.0], [0.5, 0.5]]
    table = pl.read_parquet(folder / "users.parquet")
    assert (table["id"].to_list(), table["vector"].to_list()) == (USERS[1:], [[0.0, 1.0], [0.5, 0.5]])
    assert "ann" not in (folder / "users.ids.json").read_text()
    assert (folder / "items.npy").read_bytes() == items
    assert forget_in_export(folder, ["ann"]) == [Removal(folder, 0)]  # the digests fit


def test_a_file_of_other_origin_is_read_by_its_columns(tmp_path):
    (tmp_path / "mine.csv").write_text('user_id,item,note\nann,cup,"a, b"\nbob,jug,\n')
    assert forget_in_export(tmp_path / "mine.csv", ["bob"]) == [Removal(tmp_path / "mine.csv", 1)]
    assert (tmp_path / "mine.csv").read_text() == 'user_id,item,note\nann,cup,"a, b"\n'


def test_what_holds_no_lists_of_users_is_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^there is no export .*recs.csv, and no shard of it; [^\n]*$"):
        forget_in_export(tmp_path / "recs.csv", ["ann"])
    export_similar(recommender(DATA), tmp_path / "similar.parquet", options())
    with pytest.raises(ValueError, match=r"^.*similar.parquet has no column 'user_id', [^\n]*$"):
        forget_in_export(tmp_path / "similar.parquet", ["ann"])
    (tmp_path / "recs.txt").write_text("x")
    with pytest.raises(ValueError, match="the ending of recs.txt names no format"):
        forget_in_export(tmp_path / "recs.txt", ["ann"])


def test_a_file_that_was_changed_since_is_refused(tmp_path):
    file = tmp_path / "recs.csv"
    export_recommendations(recommender(DATA), file, options())
    file.write_text(file.read_text() + "ann,3,pan,0.1,known\n")
    with pytest.raises(ValueError, match=f"^{re.escape(str(file))} is not complete, or was changed since it was expo"):
        forget_in_export(file, ["ann"])
