"""What processes cannot share is refused in one line, before anything is trained or written."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import flatrec
from flatrec.config import AMR, MDVT, Component
from flatrec.models import LightGCN
from flatrec.ops.process_group import ProcessGroup
from flatrec.parallel.processes import own_device
from flatrec.parallel.refusals import check_shareable
from flatrec.parallel.shards import columns_of
from flatrec.registry.instantiate import build_strategy, with_defaults
from flatrec.runs.objective import build_with_objective
from flatrec.strategies import SAM
from flatrec.utils.processes import Processes, check_command
from tests.parallel.case import DATA, Case

REFUSED = [
    (Case("lightgcn", "ssam"), "strategy ssam needs all columns"),
    (Case("lightgcn", "ssam+"), r"strategy ssam\+ needs all columns"),
    (Case("lightgcn", "esam"), "strategy esam needs all columns"),
    (Case("lightgcn", "sam", strategy_settings={"control": "random"}), "strategy.control is random"),
    (Case("lightgcn", optimizer="adafactor"), "optimizer adafactor needs all columns"),
    (Case("lightgcn", training={"perturb_target": "embeddings"}), "perturb_target is embeddings"),
    (Case("lightgcn", training={"precision": "bfloat16"}), "precision is bfloat16"),
    (Case("lightgcn", training={"layer_precision": "bfloat16"}), "training.layer_precision is bfloat16"),
    (Case("lightgcn", training={"mdvt": MDVT(weight=1.0)}), "training.mdvt needs all columns"),
    (Case("freedom", training={"amr": AMR(epsilon=0.1)}), "training.amr needs all columns"),
    (Case("lightgcn", model_settings={"message_dropout": 0.1}), "message_dropout is drawn for all columns"),
    (Case("freedom", model_settings={"features": "trained"}), "features.tables.0.values of FREEDOM has no columns"),
    (Case("freedom", "sam", strategy_settings={"rho_scale": "row"}), "rows of projections.0.weight are what processes"),
    (Case("freedom", training={"max_row_grad_norm": 1.0}), "rows of projections.0.weight are what processes"),
]


REFUSED_OF_BATCHES = [
    (Case("lightgcn", training={"perturb_target": "embeddings"}), "embeddings, which are encoded once per step"),
    (Case("lightgcn", training={"same_dropout_mask": False}), "draw masks one after the other; set it to true"),
    (Case("lightgcn", others={"sampling": Component("in-batch")}), "in-batch, whose negatives are those of a whole"),
    (Case("popularity"), "popularity is not trained in steps to share; start a single process"),
]
REFUSED += [(replace(case, parallel="batches"), message) for case, message in REFUSED_OF_BATCHES]


@pytest.mark.parametrize(("case", "message"), REFUSED, ids=[str(case) for case, _ in REFUSED])
def test_what_processes_cannot_share_is_refused(case, message):
    experiment = with_defaults(case.experiment())
    model, strategy = build_with_objective(experiment, DATA), build_strategy(experiment.strategy)
    with pytest.raises(ValueError, match=message) as caught:
        check_shareable(experiment, model, strategy, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["ngcf", "mmgcn", "popularity"])
def test_models_whose_columns_are_not_separable_are_refused(name):
    experiment = with_defaults(Case("bpr").experiment().replace(model=Component(name)))
    with pytest.raises(ValueError, match="share|shared"):
        check_shareable(experiment, build_with_objective(experiment, DATA), build_strategy(experiment.strategy), 2)


class Own(LightGCN):
    """A class of the user's own, which may add up anything."""


@pytest.mark.parametrize("kind", [Own, type("OwnSAM", (SAM,), {})])
def test_a_subclass_must_say_itself_that_it_is_separable(kind):
    experiment = with_defaults(Case("lightgcn").experiment())
    model, strategy = (Own(DATA), SAM()) if kind is Own else (LightGCN(DATA), kind())
    with pytest.raises(ValueError, match="columns"):
        check_shareable(experiment, model, strategy, 2)


def test_several_processes_that_would_train_the_same_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(ValueError, match="2 processes were started, and each would train the same"):
        flatrec.fit(DATA, "bpr", training=flatrec.Training(epochs=1, loggers=()))


@pytest.mark.parametrize(("n_columns", "named"), [(1, "1 column"), (2, "2 columns")])
def test_more_processes_than_columns_are_refused(n_columns, named):
    experiment = with_defaults(Case("lightgcn", model_settings={"embedding_dim": n_columns}).experiment())
    with pytest.raises(ValueError, match=f"nodes has {named}, which 3 processes cannot share; start fewer"):
        check_shareable(experiment, build_with_objective(experiment, DATA), build_strategy(experiment.strategy), 3)


@pytest.mark.parametrize("parallel", ["columns", "batches"])
def test_without_torchrun_a_single_process_shares_nothing(parallel):
    settings = flatrec.Training(epochs=1, loggers=(), monitor="recall@5")
    runs = [
        flatrec.fit(DATA, "vbpr", training=training, evaluation=flatrec.Evaluation(ks=(5,)))
        for training in (settings, settings.replace(parallel=parallel))
    ]
    one, other = (dict(run.model.named_parameters()) for run in runs)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("size", "rank", "message"), [("x", "0", "WORLD_SIZE must be"), ("2", "2", "RANK is 2")])
def test_an_environment_that_makes_no_sense_is_refused(monkeypatch, size, rank, message):
    monkeypatch.setenv("WORLD_SIZE", size)
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(ValueError, match=message):
        Processes.of_environment()


def test_torchrun_is_refused_for_other_commands(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    for name in ("sweep", "train"):
        check_command(name)
    monkeypatch.setenv("WORLD_SIZE", "2")
    check_command("train")
    with pytest.raises(ValueError, match="run flatrec sweep without torchrun"):
        check_command("sweep")


@pytest.mark.parametrize("name", ["cuda:0", "mps"])
def test_a_device_that_processes_cannot_share_is_refused(name):
    with pytest.raises(ValueError, match="which 2 processes cannot share"):
        own_device(name, Processes(1, 2, 1))


@pytest.mark.parametrize(("n_columns", "size"), [(10, 3), (64, 4), (5, 5), (7, 2)])
def test_columns_are_shared_as_evenly_as_they_can_be(n_columns, size):
    columns = torch.arange(n_columns)
    own = [columns[ProcessGroup(rank, size).own(n_columns)] for rank in range(size)]
    assert all(map(torch.equal, own, columns.tensor_split(size)))


def test_every_parameter_of_a_separable_model_has_columns():
    model = build_with_objective(with_defaults(Case("freedom").experiment()), DATA)
    assert {name: columns_of(model, name).dim for name, _ in model.named_parameters()} == {
        "nodes": 1,
        "projections.0.weight": 0,
        "projections.1.weight": 0,
    }
