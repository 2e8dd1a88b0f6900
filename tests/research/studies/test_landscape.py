"""The loss that the landscape study looks at is the one that the run was trained by."""

from __future__ import annotations

import numpy as np
import pytest

from flatrec.api import run_experiment
from flatrec.config import Component, Experiment, Regularization, Training
from flatrec.research.studies.landscape import LossAround, TrainingLoss
from flatrec.testing import block_dataset

DATA = block_dataset(blocks=2, users=6, items=6)
STANDING = Component("sgd", {"lr": 1e-30})  # parameters stay where they are
ONE_BATCH = Training(epochs=1, batch_size=1000, loggers=())
BASE = Experiment(
    model=Component("lightgcn", {"embedding_dim": 4, "n_layers": 1}), strategy=Component("plain"), training=ONE_BATCH
)
WITHOUT_DRAWS = {  # one batch of all interactions has the same loss whatever their order and the drawn negatives
    "softmax": BASE.replace(
        loss=Component("softmax", {"temperature": 0.3}),
        sampling=Component("in-batch"),
        regularization=Regularization(kind="none"),
        optimizer=STANDING,
    ),
    "directau": BASE.replace(
        loss=Component("directau"), regularization=Regularization(kind="decoupled", weight=0.1), optimizer=STANDING
    ),
}
SQUARED = BASE.replace(
    loss=Component("softmax", {"temperature": 0.5}),
    sampling=Component("popularity", {"n_negatives": 3}),
    regularization=Regularization(kind="squared", weight=0.25),
    training=ONE_BATCH.replace(batch_size=20),
)


class Losses:
    """Keeps the training loss of each epoch."""

    def __init__(self):
        self.values = []

    def on_start(self, *_):
        pass

    on_step = on_start

    def on_epoch(self, record):
        self.values.append(record.loss)

    def on_end(self):
        pass


@pytest.mark.parametrize("name", WITHOUT_DRAWS)
def test_the_center_is_the_loss_that_training_recorded(name):
    losses = Losses()
    run = run_experiment(WITHOUT_DRAWS[name], DATA, callbacks=[losses])
    measured = LossAround(3, (("normalized", 0.5),), 1, 0.1)(run, WITHOUT_DRAWS[name])
    assert measured["surfaces"]["normalized"]["losses"][1][1] == pytest.approx(losses.values[0], rel=1e-6)
    assert measured["sharpness"]["loss"] == pytest.approx(losses.values[0], rel=1e-6)
    assert all(np.isfinite(value) for value in measured["sharpness"].values())


def by_hand(model, batches):
    """The mean over batches of softmax with correction and half the squares of the rows before propagation."""
    users, items = (rows.detach().numpy() for rows in model.user_item_embeddings(model.encode()))
    free = model.nodes.detach().numpy()
    counts = np.maximum(DATA.interactions.item_counts("train"), 1) ** 0.75
    log_q = np.log(counts / counts.sum())
    means = []
    for batch in batches:
        total = 0.0
        for user, positive, drawn in zip(*(one.tolist() for one in batch.indices), strict=True):
            scores = [users[user] @ items[item] / 0.5 - log_q[item] for item in (positive, *drawn)]
            squares = [row @ row for row in (free[user], *(free[DATA.n_users + item] for item in (positive, *drawn)))]
            total += np.log(sum(np.exp(score - scores[0]) for score in scores))
            total += 0.25 / 2 * (squares[0] + squares[1] + sum(squares[2:]) / 3)
        means.append(total / len(batch))
    return np.mean(means)


def test_batches_have_the_negatives_of_the_run_and_the_loss_is_worked_by_hand():
    run = run_experiment(SQUARED, DATA)
    loss = TrainingLoss.of(run.model.train(), run, SQUARED, 2)
    assert [tuple(batch.negatives.shape) for batch in loss.batches] == [(20, 3), (20, 3)]
    run.model.double()
    assert loss().item() == pytest.approx(by_hand(run.model, loss.batches), abs=1e-6)
