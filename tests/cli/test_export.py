"""flatrec export: what it writes, prints and refuses."""

from __future__ import annotations

import json
import sqlite3

import polars as pl
import pytest

from flatrec.inference.storage import load_recommender
from tests.cli.test_errors import one_line


@pytest.fixture
def recommender(trained):
    return load_recommender(trained)


def listed(recommender, k, users=None, **filters):
    users = list(recommender.users) if users is None else users
    lists = recommender.recommend(users, k, **filters)
    return [(user, one.item) for user, items in zip(users, lists, strict=True) for one in items]


def test_recommendations_of_all_users(flatrec, trained, recommender, tmp_path):
    outcome = flatrec("export", trained, "-k", "3", "--out", tmp_path / "recs.parquet")
    assert outcome.code == 0, outcome.err
    frame = pl.read_parquet(tmp_path / "recs.parquet")
    assert frame.select("user_id", "item_id").rows() == listed(recommender, 3)
    assert "72 rows of recommendations written to" in outcome.out
    assert "lists by path: known 24" in outcome.out
    again = flatrec("export", trained, "-k", "3", "--out", tmp_path / "recs.parquet")
    assert "recs.parquet is there already, with the same 72 rows" in again.out


def test_every_filter_counts(flatrec, trained, recommender, tmp_path):
    (tmp_path / "users.txt").write_text("user 3\nstranger\nuser 3\nuser 9\n")
    (tmp_path / "stock.csv").write_text("item\n" + "\n".join(f"item {index}" for index in range(12)) + "\n")
    (tmp_path / "sold.csv").write_text("user,item\nuser 3,item 4\nuser 9,item 5\nuser 9,item 6\n")
    words = ("--users", tmp_path / "users.txt", "--items", f"@{tmp_path / 'stock.csv'}", "--include-seen")
    words += ("--exclude", f"@{tmp_path / 'sold.csv'}", "--where", 'item != "item 0"')
    outcome = flatrec("export", trained, "-k", "20", *words, "--out", tmp_path / "recs.csv")
    assert outcome.code == 0, outcome.err
    assert "1 of 4 ids repeat and count once" in outcome.err
    frame = pl.read_csv(tmp_path / "recs.csv")
    expected = listed(
        recommender,
        20,
        ["user 3", "stranger", "user 9"],
        items=[f"item {index}" for index in range(12)],
        exclude={"user 3": ["item 4"], "user 9": ["item 5", "item 6"]},
        where='item != "item 0"',
        filter_seen=False,
    )
    assert frame.select("user_id", "item_id").rows() == expected
    assert len(expected) == 10 + 11 + 9
    assert "1 of 3 users are not known to the recommender and get the most popular items: ['stranger']" in outcome.out


def test_json_says_what_was_written(flatrec, trained, tmp_path):
    words = ("export", trained, "-k", "2", "--out", tmp_path / "recs.jsonl", "--exclude", "item 1,item 2", "--json")
    first, again = (json.loads(flatrec(*words).out) for _ in range(2))
    assert {key: first[key] for key in ("what", "rows", "lists", "empty_lists", "shard", "skipped", "notes")} == {
        "what": "recommendations", "rows": 48, "lists": 24, "empty_lists": 0, "shard": "1/1", "skipped": False,
        "notes": [],
    }  # fmt: skip
    assert first["paths"] == {"known": 24}
    assert again == {**first, "skipped": True}


def test_shards_and_similar_items(flatrec, trained, recommender, tmp_path):
    out = tmp_path / "similar.csv"
    for shard in ("1/2", "2/2"):
        outcome = flatrec("export", trained, "--what", "similar", "-k", "2", "--out", out, "--shard", shard)
        assert outcome.code == 0, outcome.err
        assert f"shard {shard}" in outcome.out
    texts = [(tmp_path / f"similar-0000{index}-of-00002.csv").read_text() for index in (1, 2)]
    rows = [tuple(line.split(",")[:3]) for line in "".join(texts).splitlines()]
    assert rows[0] == ("item_id", "rank", "similar_item_id")
    lists = zip(recommender.items, recommender.similar(recommender.items, 2), strict=True)
    assert rows[1:] == [
        (item, str(rank), one.item) for item, similar in lists for rank, one in enumerate(similar, start=1)
    ]


def test_vectors(flatrec, trained, tmp_path):
    outcome = flatrec("export", trained, "--what", "vectors", "--out", tmp_path / "vectors")
    assert outcome.code == 0, outcome.err
    assert "42 rows of vectors" in outcome.out
    assert pl.read_parquet(tmp_path / "vectors" / "items.parquet")["id"].to_list() == [f"item {n}" for n in range(18)]


def test_a_baseline_of_similar_items_has_no_vectors(flatrec, blocks, tmp_path):
    assert flatrec("train", "--data", blocks, "--model", "item-knn", "--out", tmp_path / "knn").code == 0
    outcome = flatrec("export", tmp_path / "knn", "--what", "vectors", "--out", tmp_path / "vectors")
    one_line(outcome, 2, "item-knn has no vectors to export")


def test_a_baseline_of_vectors_exports_them(flatrec, blocks, tmp_path):
    small = ("--set", "model.embedding_dim=4", "--out", tmp_path / "svd")
    assert flatrec("train", "--data", blocks, "--model", "pure-svd", *small).code == 0
    outcome = flatrec("export", tmp_path / "svd", "--what", "vectors", "--out", tmp_path / "vectors")
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "vectors" / "vectors.json").read_text())["dim"] == 4


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ((), ("needs --out FILE, or --to URL and --table NAME",)),
        (("--to", "sqlite:///shop.db"), ("--table NAME",)),
        (("--out", "recs.csv", "--to", "sqlite:///shop.db", "--table", "recs"), ("give one of them",)),
        (("--out", "recs.xlsx"), ("the ending of recs.xlsx names no format", ".parquet, .csv, .jsonl")),
        (("--out", "recs"), ("the ending of recs names no format",)),
        (("--out", "missing/recs.csv"), ("there is no folder missing",)),
        (("--out", "recs.csv", "--format", "xlsx"), ("one of parquet, csv, jsonl, but is 'xlsx'",)),
        (("--out", "recs.csv", "--what", "lists"), ("--what must be one of recommendations, similar, vectors",)),
        (("--out", "recs.csv", "-k", "0"), ("--top-k must lie between 1 and 10000",)),
        (("--out", "recs.csv", "--shard", "0/3"), ("one of 1/n to n/n", "0/3")),
        (("--out", "recs.csv", "--shard", "three"), ("written as 3/16", "'three'")),
        (("--out", "recs.csv", "--users", "missing.txt"), ("missing.txt is not a file",)),
        (("--out", "recs.csv", "--users", "empty.txt"), ("empty.txt is empty",)),
        (("--out", "recs.csv", "--items", "empty.txt"), ("write --items @empty.txt",)),
        (("--out", "recs.csv", "--exclude", "@missing.csv"), ("missing.csv is not a file",)),
        (("--out", "recs.csv", "--exclude", ","), ("--exclude names no item",)),
        (("--out", "recs.csv", "--where", "prize < 3"), ("prize",)),
        (("--out", "recs.csv", "--what", "similar", "--users", "some.txt"), ("the same for every user",)),
        (("--out", "v", "--what", "vectors", "--shard", "1/2"), ("--shard does not go with --what vectors",)),
        (("--out", "v", "--what", "vectors", "--include-seen"), ("--include-seen does not go with --what vectors",)),
        (("--to", "sqlite:///shop.db", "--table", "v", "--what", "vectors"), ("--to does not go with",)),
    ],
)
def test_bad_usage_is_one_line(flatrec, trained, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "some.txt").write_text("user 1\n")
    before = sorted(tmp_path.rglob("*"))
    one_line(flatrec("export", trained, *words), 2, *parts)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_without_a_run_is_named(flatrec, tmp_path):
    one_line(flatrec("export", tmp_path / "nowhere", "--out", tmp_path / "recs.csv"), 2, "nowhere")


def test_a_table_of_a_database(flatrec, trained, recommender, tmp_path):
    outcome = flatrec("export", trained, "-k", "2", "--to", f"sqlite:///{tmp_path}/shop.db", "--table", "recs")
    assert outcome.code == 0, outcome.err
    assert "48 rows of recommendations written to recs" in outcome.out
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        rows = connection.execute("SELECT user_id, item_id FROM recs").fetchall()
    assert sorted(rows) == sorted(listed(recommender, 2))
