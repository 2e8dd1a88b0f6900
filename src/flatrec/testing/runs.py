"""What checks do with a model: begin an epoch, compute a loss of the right form, evaluate, change parameters, train."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models.base import Encoded, Model
from flatrec.strategies.plain import Plain
from flatrec.testing.datasets import whole_batch
from flatrec.testing.messages import ContractError, kind_of, listed, require
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding

BATCH_COLUMNS = ("users", "positives", "negatives")


@contextmanager
def random_state(seed: int, *, numpy_seed: int | None = None) -> Iterator[None]:
    """Global generators begin at a seed inside the block and are as before after it.

    Args:
        seed: of torch.
        numpy_seed: of NumPy and Python, where it is to be another.
    """
    other = seed if numpy_seed is None else numpy_seed
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        random.seed(other)
        np.random.seed(other)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


def seeded(make: Callable[[Dataset], Model], seed: int = 0) -> Callable[[Dataset], Model]:
    """The same, with equal initial parameters each time."""

    def built(dataset: Dataset) -> Model:
        with random_state(seed):
            return make(dataset)

    return built


def begin_epoch(model: Model, epoch: int = 1) -> None:
    """What the trainer does before the first step of an epoch."""
    model.train().on_epoch_start(seeding.generator(0, "model", epoch))


def copied(batch: Batch) -> Batch:
    """The same batch in memory of its own, so that a model that edits it spoils nothing else."""
    return batch.with_indices(*(column.clone() for column in batch.indices))


def halves(batch: Batch) -> list[Batch]:
    """The interactions of a batch, divided into two batches."""
    return batch.split(2)


def training_loss(model: Model, batch: Batch, *, noise: int = 0, numpy_seed: int | None = None) -> Tensor:
    """The loss in training mode under a random state; the model gets a copy of the batch."""
    with random_state(noise, numpy_seed=numpy_seed):
        return loss_of(model, encoded(model.train()), copied(batch))


def trainable(model: Model) -> dict[str, Tensor]:
    """The parameters that a strategy moves, by name."""
    return {name: one for name, one in model.named_parameters() if one.requires_grad}


def gradients(model: Model, loss: Tensor) -> dict[str, Tensor | None]:
    """The gradient of every trainable parameter, None for one that the loss does not reach.

    Raises:
        AssertionError: one is sparse.
    """
    params = trainable(model)
    if not params or not loss.requires_grad:
        return dict.fromkeys(params)
    found = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    named: dict[str, Tensor | None] = dict(zip(params, found, strict=True))
    sparse = [name for name, one in named.items() if one is not None and one.layout != torch.strided]
    require(
        not sparse,
        f"the gradient of {listed(sparse)} must be dense, but is sparse, which strategies cannot perturb along; "
        "use sparse=False in nn.Embedding",
    )
    return named


def descend(model: Model, batch: Batch, *, lr: float = 1e-3) -> dict[str, Tensor | None]:
    """One step down the gradient, hook included; the gradient that it took."""
    found = gradients(model, training_loss(model, batch))
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            gradient = found[name]
            if gradient is not None:
                parameter.sub_(gradient, alpha=lr)
    model.on_step_end()
    return found


def evaluated(model: Model, *, noise: int = 0) -> tuple[Tensor, Tensor]:
    """User and item vectors in evaluation mode under a random state; the model stays in that mode."""
    with torch.no_grad(), random_state(noise):
        users, items = vectors(model, encoded(model.eval()))
    return users.detach(), items.detach()


def well_shaped(found: tuple[Tensor, Tensor], dataset: Dataset) -> bool:
    """Return True if there is one vector per user and per item, all of one width."""
    width = found[0].shape[-1:]
    return found[0].shape == (dataset.n_users, *width) and found[1].shape == (dataset.n_items, *width)


def scores(model: Model) -> Float[Tensor, "n_users n_items"]:
    """What the model ranks by; it ends in evaluation mode."""
    with torch.no_grad():
        users, items = model.eval().user_item_embeddings(model.encode())
    return users @ items.T


def same(one: Tensor, other: Tensor) -> bool:
    """Equal shapes and values, NaN being equal to NaN."""
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def disturb(model: Model, seed: int = 0) -> None:
    """Change every trainable parameter, by up to a half of its values and a bit."""
    stream = seeding.generator(seed, "disturbance")
    with torch.no_grad():
        for one in trainable(model).values():
            change = torch.rand(one.shape, generator=stream, dtype=one.dtype).to(one.device)
            one.mul_(1 + change / 2).add_(change / 100)


def fit(model: Model, dataset: Dataset, *, epochs: int, lr: float = 0.05, seed: int = 0) -> None:
    """Plain training with Adam, one whole batch a step, hooks included; the model ends in evaluation mode."""
    context = TrainStepContext(model.train(), torch.optim.Adam(model.parameters(), lr=lr))
    with random_state(seed):
        for epoch in range(1, epochs + 1):
            model.on_epoch_start(seeding.generator(seed, "model", epoch))
            Plain().step(context, whole_batch(dataset, seeding.derive_seed(seed, "batches", epoch)))
            model.on_step_end()
    model.eval()


def encoded(model: Model) -> Encoded:
    """What ``encode`` gives.

    Raises:
        AssertionError: it is not Encoded.
    """
    found: object = model.encode()
    if isinstance(found, Encoded):
        return found
    raise ContractError(
        f"encode must return flatrec.models.Encoded, but returns {kind_of(found)}; return Encoded(node_embeddings), "
        "one table with users first and then items, and put what else the loss reads into aux"
    )


def loss_of(model: Model, given: Encoded, batch: Batch) -> Tensor:
    """The loss of a batch.

    Raises:
        AssertionError: it is not one scalar tensor, or it replaces a column of the batch.
    """
    try:
        loss: object = model.loss(given, batch)
    except FrozenInstanceError as error:
        edited = [f"batch.{name}" for name in BATCH_COLUMNS if f"'{name}'" in str(error)]
        require(not edited, edits(edited))
        raise
    shown = kind_of(loss)
    if isinstance(loss, Tensor):
        require(loss.shape == (), f"the loss must be one scalar tensor, but is {shown}; take its mean or sum")
        return loss
    advice = "compute it with torch, and leave .item() out" if isinstance(loss, (int, float)) else "add the terms up"
    advice = "end it with return" if loss is None else advice
    raise ContractError(f"loss must return one scalar tensor, but returns {shown}; {advice}")


def edits(names: list[str]) -> str:
    """The message for a loss that edits columns of its batch."""
    shown = ", ".join(map(repr, names))
    return f"the loss edits {shown} in place; write batch.x + n instead of batch.x += n"


def vectors(model: Model, given: Encoded) -> tuple[Tensor, Tensor]:
    """The embeddings of users and items.

    Raises:
        AssertionError: they are not two tensors.
    """
    found: object = model.user_item_embeddings(given)
    shown = kind_of(found)
    if isinstance(found, (tuple, list)):
        if len(found) == 2 and all(isinstance(one, Tensor) for one in found):
            return found[0], found[1]
        shown += f" of {' and '.join(kind_of(one) for one in found)}"
    raise ContractError(
        f"user_item_embeddings must return two tensors, users and items, but returns {shown}; compute both from what "
        "encode gives"
    )
