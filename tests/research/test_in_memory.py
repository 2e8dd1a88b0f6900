"""Comparisons, studies and sweeps take data sets that are in memory, as they take paths."""

from __future__ import annotations

import pickle

import pytest

from flatrec import config
from flatrec.api import fit, load_run, run_experiment
from flatrec.config import Experiment, SplitSettings, Training
from flatrec.data.dataset import Dataset
from flatrec.research.comparison import compare
from flatrec.research.studies import STUDIES
from flatrec.research.studies.base import Request
from flatrec.research.studies.runner import Job, run_job, run_study
from flatrec.research.sweeps import Choices, Sweep, run_sweep
from flatrec.testing import block_dataset

BASE = config.changed(
    Experiment(),
    {
        "model": {"name": "bpr", "embedding_dim": 4},
        "strategy": {"name": "plain"},
        "training": {"epochs": 1, "batch_size": 32, "monitor": "recall@5", "loggers": []},
    },
)


@pytest.fixture(scope="module")
def dataset():
    blocks = block_dataset(blocks=3, users=8, items=6)
    return Dataset.from_frames(blocks.to_frame(), name="own")


def test_a_run_of_data_in_memory_is_loaded_with_them(dataset, tmp_path):
    run = fit(dataset, "bpr", "plain", training=Training(epochs=1), out=tmp_path / "fit")
    assert load_run(tmp_path / "fit", data=dataset).evaluate().metrics == run.evaluate().metrics
    run_experiment(BASE, dataset, tmp_path / "run")  # its settings name the built-in shop, which it does not use
    for name in ("fit", "run"):
        with pytest.raises(ValueError, match=r"^the run was made from data in memory; give them: load_run\("):
            load_run(tmp_path / name)


def test_a_comparison_splits_the_data_as_the_settings_say_and_goes_on(dataset, tmp_path):
    split = BASE.replace(split=SplitSettings(method="random", seed=5))
    first = compare(split, ["plain", "bsam"], [0], tmp_path, dataset=dataset)
    assert compare(split, ["plain", "bsam"], [0], tmp_path, dataset=dataset).as_dict() == first.as_dict()
    fingerprint = dataset.split_again(split.split).fingerprint
    run = load_run(first.runs["plain"][0], dataset)
    assert run.result["data"]["fingerprint"] == fingerprint != dataset.fingerprint
    assert run.result["data"]["path"] == ""


def test_a_study_takes_data_sets_in_memory_beside_each_other(dataset, tmp_path):
    other = Dataset.from_frames(dataset.to_frame(), split=SplitSettings(method="random", seed=1), name="own")
    request = Request((dataset, other), ("bpr",), ("plain", "bsam"), (0, 1), BASE)
    result = run_study("overall", tmp_path, request)
    names = [f"own ({one.fingerprint[:8]})" for one in (dataset, other)]
    assert result.failures == ()
    assert result.settings["data"] == ", ".join(names)
    assert {row[0] for row in result.tables[0].rows} == set(names)
    with pytest.raises(ValueError, match="at least one data set and none twice"):
        run_study("overall", tmp_path, Request((dataset, dataset), ("bpr",), ("plain", "bsam"), (0, 1), BASE))


def test_a_job_travels_with_its_data_and_comes_back_without_them(dataset, tmp_path):
    study = STUDIES["overall"]
    planned = study().plan(Request((dataset,), ("bpr",), ("plain",), (0,), BASE).completed(study))[0]
    there = pickle.loads(pickle.dumps(Job(planned, tmp_path)))
    assert there.planned.folder == planned.folder
    done = run_job(there)
    assert (done.dataset, done.fingerprint) == ("own", dataset.fingerprint)
    assert done.planned.source.data == f"own ({dataset.fingerprint[:8]})"
    assert (tmp_path / planned.folder / "result.json").exists()


def test_a_sweep_takes_a_data_set_in_memory(dataset, tmp_path):
    sweep = Sweep(BASE, {"optimizer.lr": Choices((0.01, 0.1))}, "grid", seeds=(1, 2))
    result = run_sweep(sweep, tmp_path, dataset=dataset)
    assert len(result.tables[0].rows) == 2
    assert result.failures == ()
    assert result.fingerprints == {"own": dataset.fingerprint}
    again = run_sweep(sweep, tmp_path, dataset=dataset)
    assert again.tables[0].rows == result.tables[0].rows
