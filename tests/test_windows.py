"""A rolling evaluation, end to end on tiny data."""

from __future__ import annotations

import json
from statistics import fmean, stdev

import pytest

from flatrec import load_run, run_windows
from flatrec.api import fit, run_experiment
from flatrec.config import Component, Experiment, SplitSettings, Training
from flatrec.data.formats import mmrec
from flatrec.data.windows import windowed
from tests.dated import dated_blocks
from tests.training.kills import KillAt, Killed

SPLIT = SplitSettings(method="time", ratios=(2, 1, 2), windows=3)
SHORT = Training(epochs=3, batch_size=16, loggers=(), monitor="ndcg@5")


@pytest.fixture
def experiment(tmp_path):
    mmrec.write(dated_blocks(), tmp_path / "data")
    return Experiment(
        data=str(tmp_path / "data"),
        model=Component("bpr", {"embedding_dim": 4}),
        strategy=Component("plain"),
        training=SHORT,
        split=SPLIT,
    )


def scores(result):
    return [window["test"] for window in result.results]


def test_each_window_is_a_run_on_all_that_is_older(experiment):
    result = run_windows(experiment)
    data = dated_blocks().split_again(SPLIT)
    alone = [
        fit(window, "bpr", "plain", model_settings={"embedding_dim": 4}, training=SHORT) for window in windowed(data)
    ]
    assert scores(result) == [run.result["test"] for run in alone]
    assert len(result.results) == 3
    assert len({window["data"]["fingerprint"] for window in result.results}) == 3


def test_the_summary_has_mean_and_deviation_over_windows(experiment, tmp_path):
    result = run_windows(experiment, out=tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "windows.json").read_text())
    values = [window["test"]["recall@5"] for window in stored["windows"]]
    assert stored["mean"]["recall@5"] == result.mean["recall@5"] == pytest.approx(fmean(values))
    assert stored["deviation"]["recall@5"] == pytest.approx(stdev(values))
    assert [window["run"] for window in stored["windows"]] == ["window-1", "window-2", "window-3"]
    ends = [window["test_until"] for window in stored["windows"]]
    assert [window["test_from"] for window in stored["windows"]][1:] == ends[:-1]


def test_the_run_of_a_window_is_found_and_scored_like_any_other(experiment, tmp_path):
    result = run_windows(experiment, out=tmp_path / "run")
    for number, window in enumerate(result.results, start=1):
        loaded = load_run(tmp_path / "run" / f"window-{number}")
        assert loaded.evaluate("test").metrics == window["test"]
        assert loaded.dataset.fingerprint == window["data"]["fingerprint"]


def test_a_kill_in_a_window_costs_the_rest_of_that_window(experiment, tmp_path):
    whole = run_windows(experiment, out=tmp_path / "whole")
    with pytest.raises(Killed):
        run_windows(experiment, out=tmp_path / "run", callbacks=lambda number: [KillAt(2)] if number == 2 else [])
    assert not (tmp_path / "run" / "windows.json").exists()
    assert not (tmp_path / "run" / "window-3").exists()
    first = (tmp_path / "run" / "window-1" / "result.json").read_bytes()
    resumed = run_windows(experiment, out=tmp_path / "run", resume=True)
    assert scores(resumed) == scores(whole)
    assert (tmp_path / "run" / "window-1" / "result.json").read_bytes() == first
    texts = [json.loads((tmp_path / name / "windows.json").read_text()) for name in ("whole", "run")]
    assert texts[0] == texts[1]


def test_a_folder_with_windows_is_not_overwritten_by_accident(experiment, tmp_path):
    run_windows(experiment, out=tmp_path / "run")
    with pytest.raises(FileExistsError, match="already holds runs over windows; resume them"):
        run_windows(experiment, out=tmp_path / "run")
    two = experiment.replace(split=SPLIT.replace(windows=2))
    with pytest.raises(ValueError, match=r"window-1 was trained on another split \(split.test_until was"):
        run_windows(two, out=tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "windows.json").exists()
    run_windows(two, out=tmp_path / "run", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "run").glob("window*")) == ["window-1", "window-2", "windows.json"]


def test_a_run_and_windows_do_not_share_a_folder(experiment, tmp_path):
    plain = experiment.replace(split=SPLIT.replace(windows=0))
    run_windows(experiment, out=tmp_path / "windows")
    with pytest.raises(FileExistsError, match="already holds runs over windows; choose another folder"):
        run_experiment(plain, out=tmp_path / "windows", overwrite=True)
    run_experiment(plain, out=tmp_path / "run")
    with pytest.raises(FileExistsError, match="already holds a run without windows; choose another folder"):
        run_windows(experiment, out=tmp_path / "run", overwrite=True)


def test_a_folder_with_windows_is_no_run(experiment, tmp_path):
    run_windows(experiment, out=tmp_path / "run")
    with pytest.raises(FileNotFoundError, match=r"holds runs over 3 windows; name one of them, such as .*window-3"):
        load_run(tmp_path / "run")


def test_nothing_else_trains_on_one_of_the_windows(experiment):
    message = "split.windows is 3, which needs one run for each window: use flatrec train, or flatrec.run_windows"
    with pytest.raises(ValueError, match=message):
        run_experiment(experiment)
    with pytest.raises(ValueError, match=message):
        fit(dated_blocks().split_again(SPLIT), "popularity")


def test_a_split_without_windows_is_refused(experiment):
    with pytest.raises(ValueError, match="the split has no windows"):
        run_windows(experiment.replace(split=SplitSettings(method="time")))
