"""What is recorded of a delivery."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from flatrec.config import Experiment, SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.data.formats.table import TableSettings
from flatrec.data.tables.events import RowSettings
from flatrec.refresh.delivery import Ids, describe, fingerprint_of, n_common, read_ids, write_ids
from flatrec.refresh.newest_days import experiment_of, newest_days
from flatrec.refresh.settings import CompareSettings
from flatrec.testing import block_dataset
from tests.dated import DAY, START, dated_blocks

WEEK = CompareSettings(days=7, valid_days=3)


def dated(rows):
    table = pl.DataFrame(rows, schema=["user", "item", "day"], orient="row")
    table = table.with_columns(time=START + pl.col("day") * DAY).drop("day")
    columns = TableSettings(rows=RowSettings(time_column="time"))
    return Dataset.from_frames(table, columns=columns, split=SplitSettings(method="none"))


def test_the_newest_days_are_the_test_and_the_days_before_choose_the_epoch():
    dataset = dated([("a", "x", 0), ("b", "x", 19), ("c", "x", 20), ("d", "x", 22), ("e", "x", 23), ("f", "x", 30)])
    interactions = newest_days(dataset, WEEK).interactions
    splits = dict(
        zip([dataset.users[user] for user in interactions.users.tolist()], interactions.splits.tolist(), strict=True)
    )
    # The newest is of day 30 + 1 second: the test begins a second after day 23, validation a second after day 20.
    assert splits == {"a": 0, "b": 0, "c": 0, "d": 1, "e": 1, "f": 2}


def test_the_test_begins_after_what_the_other_recommender_was_trained_on():
    dataset = dated([("a", "x", 0), ("d", "x", 22), ("e", "x", 25), ("f", "x", 30)])
    interactions = newest_days(dataset, WEEK, not_before=START + 28 * DAY).interactions
    assert interactions.splits.tolist() == [0, 0, 1, 2]


def test_data_that_are_too_young_are_refused_with_advice():
    with pytest.raises(ValueError, match="nothing is left for training.*set compare.days and compare.valid_days lower"):
        newest_days(dated([("a", "x", 0), ("b", "x", 9)]), WEEK)


def test_data_without_times_are_refused_with_advice():
    with pytest.raises(ValueError, match="needs the time of every interaction.*time_column"):
        newest_days(block_dataset(), WEEK)


def test_no_validation_is_split_off_where_nothing_chooses_an_epoch():
    dataset = dated([("a", "x", 0), ("d", "x", 22), ("f", "x", 30)])
    interactions = newest_days(dataset, CompareSettings(days=7, valid_days=0)).interactions
    assert interactions.splits.tolist() == [0, 0, 2]


def test_the_metric_that_decides_is_measured_in_any_case():
    settings = CompareSettings(days=7, valid_days=3, metric="mrr@7")
    split = newest_days(dated([("a", "x", 0), ("d", "x", 22), ("f", "x", 30)]), settings)
    evaluation = experiment_of(Experiment(), split, settings).evaluation
    assert evaluation.ks == (5, 7, 10, 20)
    assert evaluation.metrics[-1] == "mrr"


def test_the_figures_of_a_delivery():
    rows = [("a", "x", 0), ("b", "y", 22), ("a", "y", 26), ("a", "z", 28), ("b", "w", 30)]
    dataset = dated(rows)
    found = describe(dataset, newest_days(dataset, WEEK))
    assert (found.interactions, found.users, found.items) == (5, 2, 4)
    assert found.newest == START + 30 * DAY
    assert found.unknown_items == 2 / 3  # z and w of y, z and w
    assert found.fingerprint == fingerprint_of(dataset)


def test_features_and_columns_are_described_by_width_and_type():
    dataset = dated_blocks().split_again(SplitSettings(method="none"))
    found = describe(dataset, newest_days(dataset, WEEK))
    assert found.columns == {"feature image": "width 4", "feature text": "width 5"}


def test_ids_are_read_back_and_do_not_show_who_is_meant(tmp_path):
    ids = Ids.of(["a person", "é", "item"], ["a", "x"])
    digest = write_ids(tmp_path / "ids.parquet", ids)
    found = read_ids(tmp_path / "ids.parquet", digest)
    assert (found.users.tolist(), found.items.tolist()) == (ids.users.tolist(), ids.items.tolist())
    assert b"person" not in (tmp_path / "ids.parquet").read_bytes()


def test_ids_are_compared_by_their_text():
    assert n_common(Ids.of("abc", "").users, Ids.of("cbx", "").users) == 2
    assert n_common(Ids.of(["1", "01"], "").users, Ids.of(["1", "1 "], "").users) == 1


def test_damaged_ids_are_noticed(tmp_path):
    path = tmp_path / "ids.parquet"
    digest = write_ids(path, Ids.of(["a"], ["x"]))
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
    content[len(content) // 2] ^= 1
    path.write_bytes(content.tobytes())
    with pytest.raises(ValueError, match="is damaged or was changed"):
        read_ids(path, digest)
