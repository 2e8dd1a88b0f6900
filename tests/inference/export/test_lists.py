"""Rows of recommendations and similar items: known answers, equal to those of the recommender, in all formats."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from flatrec.inference.candidates import Filters
from flatrec.inference.export import ExportOptions, export_recommendations, export_similar, format_named
from flatrec.inference.export.blocks import RECOMMENDATIONS, SIMILAR
from tests.inference.export.conftest import drawn

BY_HAND = [
    ("u0", 1, "i1", 3.0, "known"),
    ("u0", 2, "i2", 2.0, "known"),
    ("u1", 1, "i3", 1.0, "known"),
    ("u1", 2, "i2", 0.5, "known"),
    ("u2", 1, "i0", 4.0, "popular"),
    ("u2", 2, "i1", 3.0, "popular"),
]


def rows_of_lists(recommender, users, k, **filters):
    """The rows that the lists of ``recommend`` make."""
    lists = recommender.recommend(users, k, **filters)
    return [
        (user, rank, one.item, one.score, items.path)
        for user, items in zip(users, lists, strict=True)
        for rank, one in enumerate(items, start=1)
    ]


def exported(recommender, path, **options):
    export_recommendations(recommender, path, ExportOptions(**options))
    return pl.read_parquet(path)


def test_rows_by_hand(by_hand, tmp_path):
    report = export_recommendations(by_hand, tmp_path / "recs.parquet", ExportOptions(k=2))
    frame = pl.read_parquet(tmp_path / "recs.parquet")
    assert frame.schema == RECOMMENDATIONS
    assert frame.rows() == BY_HAND
    assert (report.rows, report.lists, report.empty_lists, report.skipped) == (6, 3, 0, False)
    assert report.paths == {"known": 2, "popular": 1}
    assert report.notes == ()


def test_a_file_has_the_same_rows_in_every_format(by_hand, tmp_path):
    for name in ("recs.csv", "recs.jsonl"):
        export_recommendations(by_hand, tmp_path / name, ExportOptions(k=2))
    assert (tmp_path / "recs.csv").read_text() == (
        "user_id,rank,item_id,score,path\nu0,1,i1,3.0,known\nu0,2,i2,2.0,known\nu1,1,i3,1.0,known\nu1,2,i2,0.5,known\n"
        "u2,1,i0,4.0,popular\nu2,2,i1,3.0,popular\n"
    )
    lines = [json.loads(line) for line in (tmp_path / "recs.jsonl").read_text().splitlines()]
    assert [tuple(line.values()) for line in lines] == BY_HAND
    assert list(lines[0]) == list(RECOMMENDATIONS)


def test_a_format_can_be_named_whatever_the_ending(by_hand, tmp_path):
    export_recommendations(by_hand, tmp_path / "recs.txt", ExportOptions(k=2, format="csv"))
    export_recommendations(by_hand, tmp_path / "recs.csv", ExportOptions(k=2))
    assert (tmp_path / "recs.txt").read_bytes() == (tmp_path / "recs.csv").read_bytes()


def test_parquet_is_read_by_pandas_and_pyarrow(by_hand, tmp_path):
    export_recommendations(by_hand, tmp_path / "recs.parquet", ExportOptions(k=2))
    frame = pd.read_parquet(tmp_path / "recs.parquet")
    assert list(frame.itertuples(index=False, name=None)) == BY_HAND
    assert frame["score"].dtype == np.float32
    assert frame["rank"].dtype == np.int32
    table = pq.read_table(tmp_path / "recs.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == BY_HAND


@pytest.mark.parametrize("name", ["recs.csv", "recs.jsonl"])
def test_text_keeps_every_bit_of_a_score(tmp_path, name):
    recommender = drawn(n_users=200)
    whole = exported(recommender, tmp_path / "recs.parquet", k=17)
    export_recommendations(recommender, tmp_path / name, ExportOptions(k=17))
    read = pl.read_csv if name.endswith("csv") else pl.read_ndjson
    assert_frame_equal(read(tmp_path / name, schema=RECOMMENDATIONS), whole, check_exact=True)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["vectors", "item-matrix", "item-scores"])
def test_rows_equal_the_lists_of_the_recommender_under_random_filters(tmp_path, kind):
    recommender, draw = drawn(kind=kind), np.random.default_rng(1)
    items = list(recommender.items)
    for number in range(12):
        filters = {
            "filter_seen": [None, True, False][draw.integers(3)],
            "items": None if draw.random() < 0.5 else [*draw.choice(items, 6, replace=False).tolist(), "no item"],
            "exclude": [None, items[:3], {"u1": items[4:9], "nobody": items[:1]}][draw.integers(3)],
            "where": None if draw.random() < 0.5 else "price < 9",
        }
        users = [*draw.permutation(list(recommender.users))[:11].tolist(), "stranger"]
        k = int(draw.integers(1, 25))
        file = tmp_path / f"{number}.parquet"
        report = export_recommendations(recommender, file, ExportOptions(k=k, users=users, filters=Filters(**filters)))
        expected = rows_of_lists(recommender, users, k, **filters)
        found = pl.read_parquet(file).rows()
        assert [row[:3] + row[4:] for row in found] == [row[:3] + row[4:] for row in expected]
        np.testing.assert_allclose([row[3] for row in found], [row[3] for row in expected], rtol=1e-5, atol=1e-6)
        assert report.rows == len(expected)
        assert report.lists + report.empty_lists == 12


def test_unknown_users_get_popular_items_and_are_named(by_hand, tmp_path):
    options = ExportOptions(k=1, users=["stranger", "u0", "another"])
    report = export_recommendations(by_hand, tmp_path / "recs.parquet", options)
    assert pl.read_parquet(tmp_path / "recs.parquet").rows() == [
        ("stranger", 1, "i0", 4.0, "popular"),
        ("u0", 1, "i1", 3.0, "known"),
        ("another", 1, "i0", 4.0, "popular"),
    ]
    assert report.notes == (
        "2 of 3 users are not known to the recommender and get the most popular items: ['stranger', 'another']",
    )


def test_users_of_whom_only_a_history_is_known_are_exported_too(tmp_path):
    recommender = replace(drawn(), histories={"zoe": ["i1", "i2"], "u1": ["i4"], "amy": ["i3"]})
    frame = exported(recommender, tmp_path / "recs.parquet", k=3)
    assert frame["user_id"].unique(maintain_order=True).to_list() == [*recommender.users, "amy", "zoe"]
    assert frame.filter(pl.col("user_id").is_in(["amy", "zoe"]))["path"].unique().to_list() == ["history"]
    report = export_recommendations(recommender, tmp_path / "some.parquet", ExportOptions(k=3, users=["zoe", "bob"]))
    assert "1 of 2 users are not known to the recommender" in report.notes[0]
    assert report.paths == {"history": 1, "popular": 1}


def test_filters_that_leave_nothing_give_no_rows_and_say_so(by_hand, tmp_path):
    options = ExportOptions(k=2, filters=Filters(where="price > 100"))
    report = export_recommendations(by_hand, tmp_path / "recs.csv", options)
    assert (tmp_path / "recs.csv").read_text() == "user_id,rank,item_id,score,path\n"
    assert (report.rows, report.empty_lists) == (0, 3)
    assert "the filters leave none of 4 items" in report.notes[0]
    export_recommendations(by_hand, tmp_path / "recs.parquet", options)
    assert pl.read_parquet(tmp_path / "recs.parquet").schema == RECOMMENDATIONS


def test_a_user_without_an_item_has_no_row_and_is_counted(by_hand, tmp_path):
    options = ExportOptions(k=2, filters=Filters(items=["i0", "i9"]))
    report = export_recommendations(by_hand, tmp_path / "recs.parquet", options)
    assert pl.read_parquet(tmp_path / "recs.parquet")["user_id"].to_list() == ["u1", "u2"]
    assert report.empty_lists == 1
    assert report.notes[0] == "1 of 2 allowed items are not known to the recommender and are left out: ['i9']"
    assert report.notes[1] == "1 list of 3 have no item left by the filters, and no row"


def test_similar_items_by_hand(by_hand, tmp_path):
    report = export_similar(by_hand, tmp_path / "similar.parquet", ExportOptions(k=2))
    frame = pl.read_parquet(tmp_path / "similar.parquet")
    assert frame.schema == SIMILAR
    assert frame.select("item_id", "rank", "similar_item_id").rows() == [
        ("i0", 1, "i2"), ("i0", 2, "i1"), ("i1", 1, "i3"), ("i1", 2, "i2"),
        ("i2", 1, "i0"), ("i2", 2, "i1"), ("i3", 1, "i1"), ("i3", 2, "i2"),
    ]  # fmt: skip
    cosines = [2 / np.hypot(2, 0.5), 3 / np.hypot(3, 2), 5 / np.sqrt(26), 7 / np.sqrt(13 * 4.25)]
    np.testing.assert_allclose(frame["score"].to_numpy()[:4], cosines, rtol=1e-6)
    assert (report.rows, report.lists, dict(report.paths)) == (8, 4, {})


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["vectors", "item-matrix", "item-scores"])
def test_similar_items_equal_those_of_the_recommender_to_the_bit(tmp_path, kind):
    recommender = drawn(kind=kind)
    options = ExportOptions(k=5, filters=Filters(where="price >= 4"))
    export_similar(recommender, tmp_path / "similar.parquet", options)
    expected = [
        (item, rank, one.item, one.score)
        for item, items in zip(
            recommender.items, recommender.similar(recommender.items, 5, where="price >= 4"), strict=True
        )
        for rank, one in enumerate(items, start=1)
    ]
    assert pl.read_parquet(tmp_path / "similar.parquet").rows() == expected


@pytest.mark.parametrize(
    "options",
    [
        {"users": ["u0"]},
        {"filters": Filters(filter_seen=False)},
        {"filters": Filters(exclude={"u0": ["i1"]})},
    ],
)
def test_similar_items_know_no_users(by_hand, tmp_path, options):
    with pytest.raises(ValueError, match="the same for every user"):
        export_similar(by_hand, tmp_path / "similar.parquet", ExportOptions(**options))


@pytest.mark.parametrize("identifier", ["=1+1", "a,b", 'say "so"', "two\nlines", " padded ", "ü", "'", "@x", "\t"])
def test_ids_stay_as_they_are(tmp_path, identifier):
    recommender = drawn(n_users=5)
    for name, read in (("recs.csv", pl.read_csv), ("recs.jsonl", pl.read_ndjson)):
        export_recommendations(recommender, tmp_path / name, ExportOptions(k=1, users=[identifier]))
        assert read(tmp_path / name, schema=RECOMMENDATIONS)["user_id"].to_list() == [identifier]
        (tmp_path / name).unlink()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must lie between 1 and 10000, but is 0"),
        ({"k": 10_001}, "k must lie between"),
        ({"users": []}, "at least one user"),
        ({"users": ["u0", "u1", "u0"]}, "1 of 3 users repeat"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ExportOptions(**options)


def test_a_target_may_be_a_text_and_users_are_kept_as_a_tuple(by_hand, tmp_path):
    report = export_recommendations(by_hand, str(tmp_path / "recs.csv"), ExportOptions(k=1, users=("u1", "u0")))
    assert (report.rows, ExportOptions(users=["u1"]).users) == (2, ("u1",))
    with pytest.raises(TypeError, match=r"users must be a sequence of ids, not one text; write \['u1'\]"):
        ExportOptions(users="u1")


def test_a_format_is_named_in_full():
    assert format_named("jsonl") == "jsonl"
    with pytest.raises(ValueError, match="one of parquet, csv, jsonl, but is 'xlsx'"):
        format_named("xlsx")


def test_an_ending_that_names_no_format_is_refused(by_hand, tmp_path):
    with pytest.raises(ValueError, match=r"the ending of recs.xlsx names no format; end it in .parquet"):
        export_recommendations(by_hand, tmp_path / "recs.xlsx")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        export_recommendations(by_hand, tmp_path / "missing" / "recs.csv")
    assert list(tmp_path.iterdir()) == []
