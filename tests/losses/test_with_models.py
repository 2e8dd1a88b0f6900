"""Every ranking loss under every sampling trains the vectors of every model."""

import pytest
import torch

from flatrec import testing
from flatrec.data.batches import Batch
from flatrec.losses.bce import BCELoss
from flatrec.losses.bpr import BPRLoss
from flatrec.losses.cosine_contrastive import CosineContrastiveLoss
from flatrec.losses.direct_au import DirectAULoss
from flatrec.losses.softmax import SoftmaxLoss
from flatrec.models import MODELS
from flatrec.sampling.hardest import Hardest
from flatrec.sampling.in_batch import InBatch
from flatrec.sampling.popularity import Popularity
from flatrec.sampling.unbought import UnboughtItems
from flatrec.sampling.uniform import Uniform
from flatrec.utils import seeding
from tests.models.settings import make

DATA = testing.block_dataset(blocks=2, users=6, items=6)
LOSSES = [BPRLoss(label_smoothing=0.1), BCELoss(), SoftmaxLoss(temperature=0.5), CosineContrastiveLoss(margin=0.0)]
READING = [(loss, sampling) for loss in LOSSES for sampling in (Uniform(n_negatives=3), Popularity(), InBatch())]
COMBINATIONS = [*READING, (BPRLoss(), Hardest()), (DirectAULoss(), Uniform())]


def batch_by(sampling):
    users, positives = (torch.tensor(column, dtype=torch.int64) for column in DATA.interactions.indices("train"))
    unbought = UnboughtItems(DATA.interactions, sampling.weights(DATA.interactions))
    drawn = unbought.draw(users, torch.Generator().manual_seed(1), sampling.n_drawn)
    return Batch(
        users,
        positives,
        drawn,
        in_batch=sampling.in_batch,
        hardest=sampling.hardest,
        log_q=sampling.log_q(DATA.interactions),
    )


def value(model, loss, batch):
    """The loss under one and the same noise."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        users, items = model.user_item_embeddings(model.encode())
    return loss(users[batch.users], items[batch.positives], items[batch.negatives], batch)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_step_lowers_the_loss_of_every_model(name):
    for loss, sampling in COMBINATIONS:
        model, batch = make(name, DATA).train(), batch_by(sampling)
        model.on_epoch_start(seeding.generator(0, "model", 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
        before = value(model, loss, batch)
        before.backward()
        gradients = [one.grad for one in model.parameters() if one.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.any() for gradient in gradients)
        optimizer.step()
        after = value(model, loss, batch)
        assert after.item() < before.item(), (loss, sampling)
