"""Averaged weights are what a warm start takes, also where embeddings are perturbed; a kill loses nothing."""

from __future__ import annotations

import shutil

import pytest
import torch

from flatrec.api import load_run, run_experiment
from flatrec.config import Component, Experiment, Training
from flatrec.runs import objective
from flatrec.training import checkpoint
from flatrec.training.trainer import CHECKPOINT
from tests.runs.test_warm_start import DATA, LATER
from tests.training.kills import KillAt, Killed

EPOCHS = 4
# One step per epoch, so that the weights after every step are those of a shorter run.
TRAINING = Training(epochs=EPOCHS, batch_size=1000, select="last", monitor="ndcg@20", loggers=())
TARGETS = ("parameters", "embeddings")


def experiment(target="parameters", strategy="sam", **training):
    return Experiment(
        model=Component("lightgcn", {"embedding_dim": 4}),
        strategy=Component(strategy, {"rho": 0.2}),
        optimizer=Component("adam", {"lr": 0.05}),
        training=TRAINING.replace(perturb_target=target, **training),
        seed=3,
    )


def raw_weights(target):
    """The weights before training and after each of its steps, in float64."""
    initial = objective.build_with_objective(experiment(target), DATA)
    runs = [run_experiment(experiment(target, epochs=epochs), DATA).model for epochs in range(1, EPOCHS + 1)]
    return [model.nodes.detach().double() for model in (initial, *runs)]


def ema(weights):
    mean = weights[0]
    for one in weights[1:]:
        mean = 0.75 * mean + 0.25 * one
    return mean


AVERAGES = {
    "ema": ({"average": "ema", "average_decay": 0.75}, ema),
    "swa": ({"average": "swa", "average_start": 2}, lambda weights: (weights[3] + weights[4]) / 2),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", AVERAGES)
def test_a_warm_start_takes_the_mean_by_hand_and_not_the_last_weights(kind, target, tmp_path):
    settings, by_hand = AVERAGES[kind]
    run_experiment(experiment(target, **settings), DATA, tmp_path / "earlier")
    weights = raw_weights(target)
    mean = by_hand(weights)
    assert not torch.allclose(mean, weights[-1], atol=1e-3)
    standing = experiment(target, epochs=1).replace(optimizer=Component("sgd", {"lr": 1e-30}))
    warm = run_experiment(standing, LATER, init_from=tmp_path / "earlier").model.nodes.detach().double()
    taken = 0
    for shift, ids, earlier in ((0, LATER.users, DATA.users), (24, LATER.items, DATA.items)):
        for row, name in enumerate(ids):
            if name in earlier:
                expected = mean[shift + earlier.index_of(name)]
                assert warm[shift + row].tolist() == pytest.approx(expected.tolist(), abs=1e-6)
                taken += 1
    assert taken == 22 + 16


def test_perturbed_embeddings_train_other_weights_than_perturbed_parameters():
    one, other = (raw_weights(target)[-1] for target in TARGETS)
    assert not torch.allclose(one, other, atol=1e-4)


KILLS = [(1, 2), (2, None), (4, 1)]  # epoch and step, or the end of the epoch


def trained(out, earlier, kind, **options):
    """A run that begins with the parameters of an averaged one, and is averaged itself."""
    training = {"average": kind, "average_start": 1, "batch_size": 16, "select": "best"}
    return run_experiment(experiment("embeddings", "bsam+", **training), LATER, out, init_from=earlier, **options)


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("averaged") / "run"
    run_experiment(experiment("embeddings", **AVERAGES["swa"][0]), DATA, folder)
    return folder


@pytest.mark.parametrize("kind", ["ema", "swa", "aswa"])
def test_a_warm_averaged_run_with_perturbed_embeddings_is_resumed_byte_for_byte(kind, averaged, tmp_path):
    whole = trained(tmp_path / "whole", averaged, kind)
    saved = checkpoint.load(tmp_path / "whole" / CHECKPOINT)
    assert not torch.equal(saved.section("best")["nodes"], saved.section("model")["nodes"])
    assert torch.equal(load_run(tmp_path / "whole", LATER).model.nodes, saved.section("best")["nodes"])
    for epoch, step in KILLS:
        out, copy = tmp_path / f"{epoch}-{step}", tmp_path / f"earlier of {epoch}"
        shutil.copytree(averaged, copy)
        with pytest.raises(Killed):
            trained(out, copy, kind, callbacks=[KillAt(epoch, step)])
        shutil.rmtree(copy)
        resumed = trained(out, None, kind, resume=True)
        assert (out / CHECKPOINT).read_bytes() == (tmp_path / "whole" / CHECKPOINT).read_bytes()
        assert resumed.result["test"] == whole.result["test"]
