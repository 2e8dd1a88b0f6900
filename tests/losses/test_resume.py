"""Runs with every ranking loss and every sampling go on after a kill, byte for byte."""

import pytest
import torch
from torch.nn import functional as F

from flatrec import testing
from flatrec.config import Component, Training
from flatrec.losses.bce import BCELoss
from flatrec.losses.bpr import BPRLoss
from flatrec.losses.cosine_contrastive import CosineContrastiveLoss
from flatrec.losses.direct_au import DirectAULoss
from flatrec.losses.softmax import SoftmaxLoss
from flatrec.models.base import Encoded, Model
from flatrec.models.layers import node_table
from flatrec.registry.instantiate import build_strategy
from flatrec.sampling.hardest import Hardest
from flatrec.sampling.in_batch import InBatch
from flatrec.sampling.popularity import Popularity
from flatrec.sampling.sampler import Sampler
from flatrec.sampling.uniform import Uniform
from flatrec.training import Trainer, optimizers
from flatrec.training.step_context import TrainStepContext
from tests.training.kills import KillAt, Killed

DATA = testing.block_dataset(blocks=2, users=6, items=6)
COMBINATIONS = [
    (BPRLoss(label_smoothing=0.1), Uniform(n_negatives=3)),
    (BPRLoss(), Hardest()),
    (BCELoss(), Popularity(n_negatives=2)),
    (SoftmaxLoss(temperature=0.5), InBatch()),
    (SoftmaxLoss(), Popularity(n_negatives=4)),
    (CosineContrastiveLoss(), Uniform(n_negatives=4)),
    (DirectAULoss(), Uniform()),
]


class Factors(Model):
    """Matrix factorization with one ranking loss."""

    def __init__(self, loss):
        super().__init__(DATA)
        self.ranking, self.nodes = loss, node_table(DATA, 8)

    def encode(self):
        return Encoded(self.nodes)

    def loss_terms(self, encoded, batch):
        users, items = self.user_item_embeddings(encoded)
        blocks = F.embedding(batch.users, users), F.embedding(batch.positives, items), items[batch.negatives]
        return {"ranking": self.ranking(*blocks, batch)}


def trainer_of(loss, sampling, folder, callbacks=()):
    folder.mkdir(exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Factors(loss)
    optimizer = optimizers.make("adam", model.parameters(), optimizers.settings("adam", {"lr": 0.01}))
    return Trainer(
        TrainStepContext(model, optimizer),
        build_strategy(Component("bsam+", {})),
        Sampler(DATA.interactions, 16, negatives=sampling),
        lambda model: {"recall@20": float(model.nodes.detach().sum()) * 1000 % 1},
        settings=Training(epochs=4, batch_size=16),
        seed=3,
        folder=folder,
        callbacks=callbacks,
    )


@pytest.mark.parametrize(("loss", "sampling"), COMBINATIONS)
def test_a_run_that_was_killed_goes_on_byte_for_byte(loss, sampling, tmp_path):
    whole = trainer_of(loss, sampling, tmp_path / "whole")
    whole.run()
    with pytest.raises(Killed):
        trainer_of(loss, sampling, tmp_path / "killed", [KillAt(3, 2)]).run()
    again = trainer_of(loss, sampling, tmp_path / "killed")
    again.resume()
    again.run()
    contents = [(tmp_path / name / "checkpoint.safetensors").read_bytes() for name in ("whole", "killed")]
    assert contents[0] == contents[1]
    assert not torch.equal(whole.model.nodes, trainer_of(loss, sampling, tmp_path / "fresh").model.nodes)
