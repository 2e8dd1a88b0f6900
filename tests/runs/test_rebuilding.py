"""A model that is built again has the loss that it was trained by, worked by hand from its vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import flatrec
from flatrec.api import load_run, run_experiment
from flatrec.config import Component, Experiment, Regularization, Training
from flatrec.data.batches import Batch
from flatrec.models import BPR
from flatrec.research.studies.rescoring import rebuild
from flatrec.runs import objective
from flatrec.testing import block_dataset

DATA = block_dataset(blocks=2, users=6, items=6)
SHORT = Training(epochs=2, batch_size=16, loggers=(), save_recommender="never")
BATCH = Batch(torch.tensor([0, 7, 0]), torch.tensor([1, 8, 2]), torch.tensor([[9, 10], [3, 3], [6, 11]]))
LOG_Q = torch.linspace(-3, -1, DATA.n_items, dtype=torch.float64)
BASE = Experiment(model=Component("bpr", {"embedding_dim": 4}), strategy=Component("plain"), training=SHORT)
PLAIN_BPR = BASE.replace(model=Component("bpr", {"embedding_dim": 4, "reg_weight": 0.5}))
SOFTMAX = BASE.replace(
    loss=Component("softmax", {"temperature": 0.5}),
    sampling=Component("popularity", {"n_negatives": 2}),
    regularization=Regularization(kind="squared", weight=0.25),
)


def batch(n_negatives):
    return Batch(BATCH.users, BATCH.positives, BATCH.negatives[:, :n_negatives], log_q=LOG_Q)


def vectors(model):
    return [rows.detach().numpy() for rows in model.user_item_embeddings(model.encode())]


def softmax_and_squares(model):
    """Softmax at temperature 0.5 with correction, and 0.25 times half the squares, one interaction after the other."""
    users, items = vectors(model)
    total = 0.0
    for user, positive, negatives in zip(*(one.tolist() for one in BATCH.indices), strict=True):
        scores = [users[user] @ items[item] / 0.5 - float(LOG_Q[item]) for item in (positive, *negatives)]
        total += np.log(sum(np.exp(score - scores[0]) for score in scores))
        drawn = sum(items[item] @ items[item] for item in negatives) / 2
        total += 0.25 / 2 * (users[user] @ users[user] + items[positive] @ items[positive] + drawn)
    return total / 3


def bpr_and_norms(model):
    """BPR with the first negative, and 0.5 times the norms of the three blocks, which are the model's own penalty."""
    users, items = vectors(model)
    blocks = users[BATCH.users], items[BATCH.positives], items[BATCH.negatives[:, 0]]
    rows = zip(*blocks, strict=True)
    ranking = sum(np.log1p(np.exp(-(user @ (positive - negative)))) for user, positive, negative in rows)
    return ranking / 3 + 0.5 * sum(np.sqrt((block**2).sum()) for block in blocks) / 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "softmax"
    run_experiment(SOFTMAX, DATA, path)
    return path


def test_a_loaded_run_has_the_loss_and_the_penalty_that_trained_it(folder):
    model = load_run(folder, DATA, "cpu").model.double()
    assert model.loss(model.encode(), batch(2)).item() == pytest.approx(softmax_and_squares(model), abs=1e-10)


def test_a_model_that_is_built_for_other_data_has_them_too(folder):
    run = load_run(folder, DATA, "cpu")
    model = rebuild(run, SOFTMAX, DATA).model.double()
    assert model is not run.model
    assert model.loss(model.encode(), batch(2)).item() == pytest.approx(softmax_and_squares(model), abs=1e-10)


def test_a_run_in_memory_and_the_same_run_from_its_folder_have_one_loss(folder):
    trained, loaded = run_experiment(SOFTMAX, DATA).model.eval(), load_run(folder, DATA, "cpu").model
    one, other = (model.double().loss(model.encode(), batch(2)).item() for model in (trained, loaded))
    assert one == other


def test_a_model_that_was_given_as_an_object_is_trained_by_the_loss_of_the_experiment():
    model = BPR(DATA, BPR.Config(embedding_dim=4))
    run_experiment(SOFTMAX, DATA, model=model)
    model.double().eval()
    assert model.loss(model.encode(), batch(2)).item() == pytest.approx(softmax_and_squares(model), abs=1e-10)


def test_without_settings_of_loss_and_penalty_a_loaded_model_keeps_its_own(tmp_path):
    run_experiment(PLAIN_BPR, DATA, tmp_path / "run")
    model = load_run(tmp_path / "run", DATA, "cpu").model.double()
    assert model.loss(model.encode(), batch(1)).item() == pytest.approx(bpr_and_norms(model), abs=1e-10)


def test_baselines_are_built_as_they_are():
    experiment = BASE.replace(model=Component("popularity"))
    assert isinstance(objective.build_with_objective(experiment, DATA), flatrec.models.Baseline)


def test_batches_are_drawn_by_all_settings_of_the_experiment():
    weights = np.where(np.arange(len(DATA.interactions)) < 8, 1.0, 1e-9)
    old = DATA.interactions
    heavy = flatrec.data.interactions.Interactions(
        old.users, old.items, old.splits, old.n_users, old.n_items, weights=weights
    )
    experiment = SOFTMAX.replace(training=SHORT.replace(batch_size=5, weighted_sampling=True))
    sampler = objective.make_sampler(experiment, heavy, torch.device("cpu"))
    batches = [one for (one,) in sampler.epoch(torch.Generator().manual_seed(0))]
    assert {len(one) for one in batches[:-1]} == {5}
    assert all(one.negatives.shape[1] == 2 and one.log_q is not None for one in batches)
    likely = {(user, item) for user, item in zip(old.users[:8].tolist(), old.items[:8].tolist(), strict=True)}
    drawn = {pair for one in batches for pair in zip(one.users.tolist(), one.positives.tolist(), strict=True)}
    assert drawn <= likely
