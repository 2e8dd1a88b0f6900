"""Splits end to end: flatrec data split, and --set split.… in the commands that train."""

from __future__ import annotations

import json

import polars as pl
import pytest

from flatrec.data.formats import mmrec
from tests.cli.conftest import SMALL
from tests.dated import dated_blocks

PLAIN = ("--model", "bpr", "--strategy", "plain", *SMALL, "--set", "training.monitor=ndcg@5")


@pytest.fixture
def dated(tmp_path):
    """A folder of tiny data with times, which gives a split of its own."""
    mmrec.write(dated_blocks(), tmp_path / "dated")
    return tmp_path / "dated"


def trained(flatrec, data, out, *words):
    outcome = flatrec("train", "--data", data, *PLAIN, *words, "--out", out, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def refusal(outcome):
    """The line of an error, after warnings of the data, if there are any."""
    assert outcome.code == 2
    assert outcome.out == ""
    line = outcome.err.strip().splitlines()[-1]
    assert line.startswith("flatrec: ")
    return line


def test_the_split_of_the_command_wins_and_is_in_the_result(flatrec, dated, tmp_path):
    given = trained(flatrec, dated, tmp_path / "given")["data"]["split"]
    assert given["method"] == "given"
    split = trained(flatrec, dated, tmp_path / "time", "--set", "split.method=time")["data"]["split"]
    assert (split["method"], split["ratios"]) == ("time", [8, 1, 1])
    assert split["train"]["last"] < split["valid_from"] <= split["valid"]["first"]
    assert split["valid"]["last"] < split["test_from"] <= split["test"]["first"]
    assert sum(split[part]["interactions"] for part in ("train", "valid", "test")) == sum(
        given[part]["interactions"] for part in ("train", "valid", "test")
    )
    assert {"users_without_training", "items_without_training"} <= set(split["test"])


def test_later_commands_find_the_split_of_a_run(flatrec, dated, tmp_path):
    run = tmp_path / "run"
    result = trained(flatrec, dated, run, "--set", "split.method=leave-last", "--set", "split.n_last=2")
    scored = json.loads(flatrec("evaluate", run, "--json").out)
    assert scored["metrics"] == result["test"]
    assert scored["differing"] == []
    assert flatrec("recommend", run, "--user", "user 3").code == 0
    assert flatrec("cold-start", run, "--fraction", "0.2").code == 0
    again = flatrec("train", "--out", run, "--resume", "--json")
    assert json.loads(again.out)["test"] == result["test"]


def test_a_changed_split_is_refused_on_resume(flatrec, dated, tmp_path):
    run = tmp_path / "run"
    trained(flatrec, dated, run, "--set", "split.method=leave-last")
    for change, says in (
        ("split.n_last=2", "split.n_last was 1, now 2"),
        ("split.method=time", "split.method was 'leave-last', now 'time'"),
    ):
        words = ("--set", "split.method=leave-last", "--set", change)
        outcome = flatrec("train", "--data", dated, *PLAIN, *words, "--out", run, "--resume")
        assert "was trained on another split" in refusal(outcome)
        assert says in outcome.err


def test_naming_the_split_that_the_data_have_changes_nothing(flatrec, dated, tmp_path):
    run = tmp_path / "run"
    result = trained(flatrec, dated, run)
    again = flatrec("train", "--data", dated, *PLAIN, "--set", "split.method=given", "--out", run, "--resume", "--json")
    assert json.loads(again.out)["data"] == result["data"]


def test_a_comparison_and_a_sweep_take_the_split(flatrec, dated, tmp_path):
    words = ("--data", dated, "--model", "bpr", *SMALL, "--set", "training.monitor=ndcg@5")
    by_time = ("--set", "split.method=time", "--set", "split.ratios=[2, 1, 1]")
    compared = ("compare", *words, "--strategies", "plain,sam", "--seeds", "1", "--out", tmp_path / "compare")
    assert flatrec(*compared, *by_time).code == 0
    swept = ("sweep", *words, "--strategy", "plain", "--sampler", "random", "--trials", "1", "--seeds", "0")
    assert flatrec(*swept, *by_time, "--out", tmp_path / "sweep").code == 0
    results = [json.loads(path.read_text()) for path in tmp_path.rglob("result.json")]
    assert len(results) == 3
    assert {result["data"]["split"]["method"] for result in results} == {"time"}
    for command in (compared, (*swept, "--out", tmp_path / "other")):
        assert "which needs one run for each window" in refusal(flatrec(*command, *by_time, "--set", "split.windows=2"))


def test_windows_are_trained_and_resumed_by_the_same_command(flatrec, dated, tmp_path):
    words = ("train", "--data", dated, *PLAIN, "--set", "split.method=time", "--set", "split.ratios=[2, 1, 1]")
    words = (*words, "--set", "split.windows=2", "--out", tmp_path / "run")
    first = flatrec(*words)
    assert first.code == 0, first.err
    assert "deviation" in first.out
    (tmp_path / "run" / "windows.json").unlink()
    (tmp_path / "run" / "window-2" / "result.json").unlink()
    (tmp_path / "run" / "window-2" / "flatrec-manifest.json").unlink()
    again = flatrec(*words, "--resume", "--json")
    assert len(json.loads(again.out)["windows"]) == 2
    assert json.loads(again.out)["mean"]["recall@5"] >= 0
    assert "already holds runs over windows" in refusal(flatrec(*words))
    assert "resume them by the whole command" in refusal(flatrec("train", "--out", tmp_path / "run", "--resume"))


@pytest.mark.parametrize("name", ["split.parquet", "split.csv"])
def test_data_split_writes_a_table_and_says_what_it_did(flatrec, dated, tmp_path, name):
    words = ("data", "split", dated, "--split", "time", "--set", "split.test_from=2024-02-01", "--out", tmp_path / name)
    outcome = flatrec(*words)
    assert outcome.code == 0, outcome.err
    for said in ("method time", "test_from 2024-02-01", "train", "2024-01-01", "without training"):
        assert said in outcome.out
    table = (pl.read_csv if name.endswith("csv") else pl.read_parquet)(tmp_path / name)
    assert table.columns == ["user", "item", "timestamp", "split"]
    newest = table.filter(pl.col("split") == "test")["timestamp"].min()
    assert newest >= 1_706_745_600 > table.filter(pl.col("split") != "test")["timestamp"].max()
    figures = json.loads(flatrec(*words, "--overwrite", "--json").out)
    assert figures["test"]["interactions"] == (table["split"] == "test").sum()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--split", "soon"), "split.method"),
        (("--set", "model.embedding_dim=4"), "--set takes settings of the split here"),
        (("--split", "time", "--set", "split.test_from=2030-01-01"), "must lie within the data's time"),
        (("--split", "leave-last", "--set", "split.n_last=0"), "split.n_last must be at least 1"),
    ],
)
def test_data_split_refuses_in_refusal(flatrec, dated, tmp_path, words, says):
    assert says in refusal(flatrec("data", "split", dated, *words, "--out", tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


def test_data_split_keeps_a_file_unless_asked(flatrec, dated, tmp_path):
    (tmp_path / "out.csv").write_text("mine")
    assert "exists already" in refusal(flatrec("data", "split", dated, "--out", tmp_path / "out.csv"))
    assert (tmp_path / "out.csv").read_text() == "mine"


def test_a_dash_prints_the_table_alone(flatrec, dated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("data", "split", dated, "--split", "time")
    outcome = flatrec(*words, "--out", "-")
    assert outcome.code == 0, outcome.err
    told = flatrec(*words, "--out", "table.csv").out
    assert outcome.out == (tmp_path / "table.csv").read_text()
    assert [line for line in told.splitlines() if line.startswith("- ")] == outcome.err.splitlines()
    assert not (tmp_path / "-").exists()
    assert "--out - and --json" in refusal(flatrec(*words, "--out", "-", "--json"))
