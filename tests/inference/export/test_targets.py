"""Lists that go into a table of a database: the same rows as in a file, and what a stopped export says."""

from __future__ import annotations

import sqlite3

import polars as pl
import pytest

from flatrec.inference.export import (
    DatabaseTable,
    ExportOptions,
    Shard,
    blocks,
    export_recommendations,
    export_similar,
)
from tests.inference.export.conftest import drawn

pytestmark = pytest.mark.usefixtures("small_blocks")


def rows_of(file, table):
    with sqlite3.connect(file) as connection:
        return connection.execute(f'SELECT * FROM "{table}" ORDER BY 1, 2').fetchall()


@pytest.mark.parametrize("call", [export_recommendations, export_similar])
def test_a_table_has_the_rows_of_a_file(tmp_path, call):
    recommender, options = drawn(), ExportOptions(k=5)
    in_file = call(recommender, tmp_path / "recs.parquet", options)
    in_table = call(recommender, DatabaseTable(f"sqlite:///{tmp_path}/shop.db", "recs"), options)
    assert rows_of(tmp_path / "shop.db", "recs") == sorted(pl.read_parquet(tmp_path / "recs.parquet").rows())
    assert (in_table.rows, in_table.lists, in_table.paths) == (in_file.rows, in_file.lists, in_file.paths)
    assert (in_table.target, in_table.generation) == ("recs", in_file.generation)


def test_a_stopped_export_goes_on_and_says_so(tmp_path, monkeypatch):
    target, rows = DatabaseTable(f"sqlite:///{tmp_path}/shop.db", "recs"), blocks.RecommendationBlocks.rows
    made = []

    def broken(self, start, stop):
        made.append(start)
        if start == 8 and made.count(8) == 1:
            raise MemoryError("no memory")
        return rows(self, start, stop)

    monkeypatch.setattr(blocks.RecommendationBlocks, "rows", broken)
    with pytest.raises(MemoryError):
        export_recommendations(drawn(), target, ExportOptions(k=5))
    report = export_recommendations(drawn(), target, ExportOptions(k=5))
    assert made == [0, 4, 8, 8, 12, 16, 20]
    assert (report.rows, report.lists) == (115, 15)
    assert "only the last 15 lists are counted" in report.notes[0]
    export_recommendations(drawn(), tmp_path / "recs.parquet", ExportOptions(k=5))
    assert rows_of(tmp_path / "shop.db", "recs") == sorted(pl.read_parquet(tmp_path / "recs.parquet").rows())


def test_a_table_has_no_shards(tmp_path):
    with pytest.raises(ValueError, match="a table is written as a whole"):
        export_recommendations(
            drawn(), DatabaseTable(f"sqlite:///{tmp_path}/shop.db", "recs"), ExportOptions(shard=Shard(1, 2))
        )
