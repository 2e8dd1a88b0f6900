"""Every method gets the same trials, finalists get fresh seeds, and the test split is scored at their end alone."""

from __future__ import annotations

import json
import random
import re
import shutil
from dataclasses import replace

import pytest

from flatrec import load_run, run_experiment
from flatrec.data.formats import mmrec
from flatrec.data.interactions import SPLITS
from flatrec.research.league import League, Method, Plan, run_league
from flatrec.research.league import season as seasons
from flatrec.research.league.job import Failed
from flatrec.research.league.records import line_of
from flatrec.research.league.season import best_trial, read_season
from flatrec.research.league.settings import experiment_of
from flatrec.research.league.spec import Rules
from flatrec.research.studies.base import Source
from flatrec.research.sweeps.space import Choices
from flatrec.testing import block_dataset
from flatrec.utils.locks import InUseError, lock_folder
from tests.research.heard import Heard
from tests.research.league.conftest import SETTINGS, SPACE, method

RANDOM = {"split.method": "random"}


def comparable(records):
    """Records without seconds."""
    return [
        replace(record, seconds=0.0, curve=tuple(point._replace(seconds=0.0) for point in record.curve))
        for record in records
    ]


def by_method(records, name):
    return [record for record in records if record.method == name]


def check_is_complete(done, n_trials):
    for name in ("plain", "sam"):
        trials, finals = by_method(done.trials, name), by_method(done.finals, name)
        assert [record.number for record in trials] == list(range(n_trials))
        assert {record.seed for record in trials} == {0}
        assert len({json.dumps(record.point, sort_keys=True) for record in trials}) == n_trials
        assert [record.seed for record in finals] == [1, 2]
        assert {json.dumps(record.point) for record in finals} == {json.dumps(best_trial(trials).point)}
    assert not done.failures


def test_each_method_gets_equal_trials_of_one_seed_and_finals_of_fresh_seeds(done, tmp_path):
    check_is_complete(done, 2)
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == [".lock", "finals.jsonl", "trials.jsonl"]


def test_points_that_follow_from_scores_are_tried_in_the_same_way(league, tmp_path):
    league = replace(league, rules=replace(league.rules, sampler="tpe", n_trials=3))
    done = run_league(league, tmp_path)
    check_is_complete(done, 3)
    assert read_season(league, tmp_path) == done


def test_a_trial_knows_nothing_of_the_test_split_and_a_final_all(done):
    assert all(not record.test and not record.disturbed for record in done.trials)
    for record in done.finals:
        assert {"recall@5", "ndcg@20"} <= record.test.keys()
        assert [len(draws) for draws in record.disturbed.values()] == [2]  # LightGCN reads no features to edit
        assert record.disturbed.keys() == {"vectors=0.2"}


def test_a_final_is_the_run_that_run_experiment_makes(league, cell, done, tmp_path):
    record = by_method(done.finals, "sam")[1]
    experiment = experiment_of(league, cell, league.methods[1], record.point, seed=2)
    run = run_experiment(experiment, out=tmp_path / "run")
    assert record.test == run.result["test"]
    assert record.score == run.result["valid"]["recall@5"]
    assert record.epochs == 3
    assert record.gradients == 2 * record.steps * 3
    assert [point.gradients for point in record.curve] == [2 * record.steps * epoch for epoch in (1, 2, 3)]


def test_a_kept_run_is_the_one_that_is_recorded(league, tmp_path):
    done = run_league(league, tmp_path, keep_runs=True)
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == len(done.trials) + len(done.finals)
    tests = [load_run(folder).result["test"] for folder in folders]
    assert all(record.test in tests for record in done.finals)
    assert run_league(league, tmp_path) == done
    assert not (tmp_path / "runs").exists()  # this call was not asked to keep them


def test_a_second_time_trains_nothing_and_says_the_same(league, done, tmp_path, monkeypatch):
    folder = tmp_path / "done"
    before = {path.name: path.read_bytes() for path in folder.glob("*.jsonl")}
    monkeypatch.setattr(seasons, "run_job", lambda job: Failed(f"{job.name} was made again"))
    assert run_league(league, folder) == done
    assert {path.name: path.read_bytes() for path in folder.glob("*.jsonl")} == before


def test_the_order_of_the_records_does_not_matter(league, done, tmp_path):
    for path in (tmp_path / "done").glob("*.jsonl"):
        lines = path.read_text().splitlines(keepends=True)
        random.Random(0).shuffle(lines)
        path.write_text("".join(lines))
    assert read_season(league, tmp_path / "done") == done


def test_records_need_no_data_to_be_read(league, cell, done, tmp_path):
    moved = replace(league, cells=(replace(cell, data="nowhere"),))
    assert read_season(moved, tmp_path / "done") == done


def test_another_method_changes_nothing_for_those_that_there_are(league, done, tmp_path):
    ahead = replace(league, methods=(method("sgd", optimizer__name="sgd"), *league.methods))
    heard = Heard()
    more = run_league(ahead, tmp_path / "done", callback=heard)
    assert {name.split()[1] for name in heard.names} == {"sgd"}
    assert heard.plans == [(4, 8), (2, 8)]  # before the two trials, and before the two finals
    assert [record for record in more.trials if record.method != "sgd"] == list(done.trials)
    assert [record for record in more.finals if record.method != "sgd"] == list(done.finals)


def test_a_space_that_changes_is_tried_again_where_it_differs(league, done, tmp_path):
    narrow = {**SPACE, "optimizer.lr": Choices((0.02, 0.05, 0.2))}
    changed = replace(league, methods=(method("plain", narrow), league.methods[1]))
    second = run_league(changed, tmp_path / "done")
    assert {record.point["optimizer.lr"] for record in by_method(second.trials, "plain")} <= {0.02, 0.05, 0.2}
    assert by_method(second.finals, "sam") == by_method(done.finals, "sam")


def test_methods_of_equal_settings_are_trained_once(cell, tmp_path):
    rules = Rules(n_trials=2, final_seeds=(1, 2))
    narrow = {"optimizer.lr": Choices((1e-6, 0.1)), "regularization.weight": Choices((0.01,))}
    league = League(rules, SETTINGS, (cell,), (method("one", narrow), method("two", narrow)))
    heard = Heard()
    done = run_league(league, tmp_path, callback=heard)
    assert len(done.trials) == 4
    assert len(heard.names) == 2 + 2  # all points of the space, and the finals of the same best one
    scores = {
        json.dumps(record.point, sort_keys=True): record.score for record in comparable(by_method(done.trials, "one"))
    }
    for record in by_method(done.trials, "two"):
        assert scores[json.dumps(record.point, sort_keys=True)] == record.score


def test_a_method_that_diverges_is_recorded_and_not_a_finalist(league, done, tmp_path):
    space = {"optimizer.lr": Choices((1e30, 1e31)), "regularization.weight": Choices((0.01,))}
    wild = replace(league, methods=(league.methods[0], method("wild", space, optimizer__name="sgd")))
    done = run_league(wild, tmp_path / "done")
    assert [record.score for record in by_method(done.trials, "wild")] == [None] * 2
    assert all("loss" in record.error for record in by_method(done.trials, "wild"))
    assert not by_method(done.finals, "wild")
    assert len(by_method(done.finals, "plain")) == 2
    assert not done.failures


def test_a_run_that_fails_is_said_and_made_by_the_next_call(league, tmp_path, monkeypatch):
    real = seasons.run_job

    def failing(job):
        return Failed("no space left") if job.name == "blocks sam trial 1" else real(job)

    monkeypatch.setattr(seasons, "run_job", failing)
    done = run_league(league, tmp_path)
    assert done.failures == (("blocks sam trial 1", "no space left"),)
    assert len(by_method(done.trials, "sam")) == 1
    assert not by_method(done.finals, "sam")  # not before all trials have been made
    monkeypatch.setattr(seasons, "run_job", real)
    again = run_league(league, tmp_path)
    assert not again.failures
    assert len(by_method(again.finals, "sam")) == 2


def test_cells_can_be_run_one_at_a_time(league, cell, tmp_path):
    two = replace(league, cells=(cell, replace(cell, name="flat", settings={"model.n_layers": 1})))
    done = run_league(two, tmp_path, cells=["flat"])
    assert {record.cell for record in done.finals} == {"flat"}
    assert read_season(two, tmp_path) == done
    with pytest.raises(ValueError, match="cells must be some of blocks, flat, but one is 'deep'"):
        run_league(two, tmp_path, cells=["deep"])


def test_splits_replicate_what_has_no_randomness_of_its_own(cell, tmp_path):
    rules = Rules(n_trials=1, final_seeds=(1, 2, 3), replication="splits")
    settings = {name: value for name, value in SETTINGS.items() if not name.startswith("model.")}
    methods = (Method("popular", Plan({"model.name": "popularity"}, {}), reason="it has no learning rate"),)
    done = run_league(League(rules, settings, (cell,), methods), tmp_path)
    assert not done.failures
    assert len({record.fingerprint for record in done.finals}) == 3
    assert len({json.dumps(record.test) for record in done.finals}) > 1
    assert all(record.gradients == 0 for record in done.finals)


@pytest.mark.parametrize(("replication", "settings"), [("splits", {}), ("splits", RANDOM), ("seeds", {})])
def test_trials_on_a_given_split_and_finals_on_random_ones_are_told(cell, replication, settings, tmp_path, caplog):
    rules = Rules(n_trials=1, final_seeds=(1, 2), replication=replication)
    methods = (Method("bpr", Plan({"model.name": "bpr"}, {}), reason="one point"),)
    fixed = {name: value for name, value in SETTINGS.items() if not name.startswith("model.")}
    done = run_league(League(rules, fixed, (replace(cell, settings=settings),), methods), tmp_path)
    told = "trials are scored on the split that the data give, finals on random ones" in caplog.text
    assert told == (replication == "splits" and not settings)
    (trial,) = done.trials
    assert (trial.fingerprint == Source(cell.data).load().fingerprint) == (not settings)


def test_one_process_at_a_time_writes_records(league, tmp_path):
    with lock_folder(tmp_path, "runs a league"), pytest.raises(InUseError, match="runs a league"):
        run_league(league, tmp_path)


def test_other_data_are_told_apart(league, cell, done, tmp_path):
    mmrec.write(block_dataset(blocks=2, users=8, items=6), tmp_path / "other")
    other = replace(league, cells=(replace(cell, data=str(tmp_path / "other")),))
    again = run_league(other, tmp_path / "done")
    assert len((tmp_path / "done" / "trials.jsonl").read_text().splitlines()) == 8
    (fingerprint,) = {record.fingerprint for record in again.trials}
    assert fingerprint not in {record.fingerprint for record in done.trials}


def test_records_of_different_data_in_one_cell_are_refused_without_the_data(league, done, tmp_path):
    path = tmp_path / "done" / "trials.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    position = next(i for i, line in enumerate(lines) if json.loads(line)["method"] == "sam")
    record = next(one for one in done.trials if one.method == "sam" and one.number == 0)
    lines[position] = line_of(replace(record, fingerprint="f" * 32))
    path.write_text("".join(lines))
    with pytest.raises(ValueError, match="blocks: its trials are of 2 different data sets"):
        read_season(league, tmp_path / "done")


@pytest.mark.parametrize("missing", ["valid", "test"])
def test_data_without_a_split_are_refused_before_anything_is_trained(league, cell, blocks, tmp_path, missing):
    folder = shutil.copytree(blocks, tmp_path / "blocks")
    table = folder / "blocks.inter"
    label = str(SPLITS.index(missing))
    table.write_text(re.sub(rf"\t{label}$", "\t0", table.read_text(), flags=re.MULTILINE))
    with pytest.raises(ValueError, match="needs validation and test interactions|no (validation|test)"):
        run_league(replace(league, cells=(replace(cell, data=str(folder)),)), tmp_path / "out")
    assert not (tmp_path / "out" / "trials.jsonl").exists()
