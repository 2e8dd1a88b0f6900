"""What checks do with a model: begin an epoch, compute a loss, evaluate, change parameters, train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec import seeding
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models.base import Model
from flatrec.strategies.learner import Learner
from flatrec.strategies.plain import Plain
from flatrec.testing.data import whole_batch


@contextmanager
def random_state(seed: int) -> Iterator[None]:
    """Torch's global generators begin at a seed inside the block and are as before after it."""
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def begin_epoch(model: Model, epoch: int = 1) -> None:
    """What the trainer does before the first step of an epoch."""
    model.train().on_epoch_start(seeding.generator(0, "model", epoch))


def copied(batch: Batch) -> Batch:
    """The same batch in memory of its own, so that a model that edits it spoils nothing else."""
    return Batch(*(column.clone() for column in vars(batch).values()))


def training_loss(model: Model, batch: Batch, *, noise: int = 0) -> Tensor:
    """The loss in training mode under a random state; the model gets a copy of the batch."""
    with random_state(noise):
        return model.train().loss(model.encode(), copied(batch))


def evaluated(model: Model, *, noise: int = 0) -> tuple[Tensor, Tensor]:
    """User and item vectors in evaluation mode under a random state; the model stays in that mode."""
    with torch.no_grad(), random_state(noise):
        users, items = model.eval().representations(model.encode())
    return users.detach(), items.detach()


def scores(model: Model) -> Float[Tensor, "n_users n_items"]:
    """What the model ranks by; it ends in evaluation mode."""
    with torch.no_grad():
        users, items = model.eval().representations(model.encode())
    return users @ items.T


def same(one: Tensor, other: Tensor) -> bool:
    """Equal shapes and values, NaN being equal to NaN."""
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def disturb(model: Model, seed: int = 0) -> None:
    """Change every trainable parameter, by up to a half of its values and a bit."""
    stream = seeding.generator(seed, "disturbance")
    with torch.no_grad():
        for one in model.parameters():
            if one.requires_grad:
                change = torch.rand(one.shape, generator=stream, dtype=one.dtype).to(one.device)
                one.mul_(1 + change / 2).add_(change / 100)


def fit(model: Model, dataset: Dataset, *, epochs: int, lr: float = 0.05, seed: int = 0) -> None:
    """Plain training with Adam, one whole batch a step, hooks included; the model ends in evaluation mode."""
    learner = Learner(model.train(), torch.optim.Adam(model.parameters(), lr=lr))
    with random_state(seed):
        for epoch in range(1, epochs + 1):
            model.on_epoch_start(seeding.generator(seed, "model", epoch))
            Plain().step(learner, whole_batch(dataset, seeding.number(seed, "batches", epoch)))
            model.on_step_end()
    model.eval()
