"""A run that several processes save is that of a single one, and goes on with any number of them."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

import flatrec
from flatrec.training import checkpoint
from flatrec.training.trainer import CHECKPOINT
from tests.parallel.case import DATA, Case
from tests.parallel.together import together

TRAINING = {"select": "best", "evaluate_every": 1, "average": "ema"}
CASES = [
    Case("freedom", "bsam+", training=TRAINING),
    Case("freedom", "bsam+", training=TRAINING, parallel="batches"),  # its loss is a mean over interactions
]
NEAR = {"rtol": 1e-4, "atol": 1e-5}


def train(rank, case, folder, epochs, resume):
    """Train so many epochs in a folder."""
    del rank
    experiment = case.experiment()
    training = experiment.training.replace(epochs=epochs)
    flatrec.run_experiment(experiment.replace(training=training), DATA, folder, resume=resume, log_warnings=False)


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def whole(case, tmp_path_factory):
    """The folder of a single process that trains to the end, its checkpoint after two epochs, and the end's."""
    folder = tmp_path_factory.mktemp("alone")
    train(0, case, folder / "two", 2, False)
    train(0, case, folder / "four", 4, False)
    return [*(checkpoint.load(folder / name / CHECKPOINT) for name in ("two", "four")), folder / "two"]


@pytest.fixture(scope="module")
def begun(case, tmp_path_factory):
    """The folder of two processes that trained two epochs."""
    folder = tmp_path_factory.mktemp("together")
    together(2, train, case, folder / "run", 2, False, folder=folder)
    return folder / "run"


def check_same(saved, expected):
    assert list(saved.tensors) == list(expected.tensors)
    for name, tensor in expected.tensors.items():
        torch.testing.assert_close(saved.tensors[name], tensor, msg=lambda text, name=name: f"{name}: {text}", **NEAR)


def test_two_processes_save_the_whole_tensors_of_one(begun, whole):
    check_same(checkpoint.load(begun / CHECKPOINT), whole[0])
    assert flatrec.load_run(begun, DATA).result["processes"] == 2
    assert (begun / "recommender").is_dir()
    assert len((begun / "epochs.jsonl").read_text().splitlines()) == 2


def test_processes_that_rank_for_some_users_each_find_the_scores_of_one(begun, whole):
    shared, alone = (
        [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]
        for folder in (begun, whole[2])
    )
    assert [record["valid"] for record in shared] == [record["valid"] for record in alone]
    assert [record["raw_valid"] for record in shared] == [record["raw_valid"] for record in alone]


def test_a_run_of_two_processes_goes_on_with_one(case, begun, whole, tmp_path, caplog):
    folder = shutil.copytree(begun, tmp_path / "run")
    train(0, case, folder, 4, True)
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert ("processes that divide each batch (1, before 2)" in said) == (case.parallel == "batches")
    check_same(checkpoint.load(folder / CHECKPOINT), whole[1])


def test_a_run_of_two_processes_goes_on_with_three(case, begun, whole, tmp_path):
    folder = shutil.copytree(begun, tmp_path / "run")
    together(3, train, case, folder, 4, True, folder=tmp_path)
    check_same(checkpoint.load(folder / CHECKPOINT), whole[1])
    assert flatrec.load_run(folder, DATA).result["processes"] == 3
