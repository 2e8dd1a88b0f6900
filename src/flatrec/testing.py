"""Tiny data with a known answer, and checks that every model must pass: for this package's tests and for yours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from flatrec import seeding
from flatrec.data.batches import Batch, Sampler
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.ids import Ids
from flatrec.data.interactions import Interactions
from flatrec.models.base import Model
from flatrec.strategies.learner import Learner
from flatrec.strategies.plain import Plain


def block_dataset(
    *, blocks: int = 3, users: int = 10, items: int = 8, modalities: Sequence[str] = ("image", "text"), seed: int = 0
) -> Dataset:
    """Groups of users who each buy within their own block of items, so that the right recommendation is obvious.

    ``users`` and ``items`` are numbers a block. User q of a block has item q of it (modulo ``items``) in validation,
    the next one in test and all others of the block in training: the two held out are all that is left of the block.
    Features are the block's unit vector plus noise, which ``seed`` decides; every modality has a width of its own.

    Raises:
        ValueError: a size is too small.
    """
    if blocks < 1 or users < 1 or items < 3:
        raise ValueError(f"a block needs a user and three items, but got {blocks} blocks of {users} and {items}")
    block, user, item = (column.ravel() for column in np.indices((blocks, users, items)))
    parts = np.select([item == user % items, item == (user + 1) % items], [1, 2], 0)
    noise = np.random.default_rng(seed)
    owner = np.repeat(np.arange(blocks), items)
    features = {}
    for number, name in enumerate(modalities, start=1):
        values = np.eye(blocks, blocks + number)[owner] + 0.1 * noise.standard_normal((len(owner), blocks + number))
        features[name] = Features(values.astype(np.float32), np.ones(len(owner), dtype=np.bool_))
    sizes = {"user": blocks * users, "item": blocks * items}
    columns = ((block * users + user).astype(np.int32), (block * items + item).astype(np.int32), parts.astype(np.int8))
    user_ids, item_ids = (Ids(kind, [f"{kind} {n}" for n in range(size)]) for kind, size in sizes.items())
    return Dataset("blocks", Interactions(*columns, *sizes.values()), user_ids, item_ids, features)


def permuted(dataset: Dataset, users: Int[ndarray, "n_users"], items: Int[ndarray, "n_items"]) -> Dataset:
    """The same data set under other numbers, given the former ones; titles and pictures are left out."""
    old = dataset.interactions
    new = [np.argsort(order)[column] for order, column in ((users, old.users), (items, old.items))]
    return replace(
        dataset,
        interactions=replace(old, users=new[0].astype(np.int32), items=new[1].astype(np.int32)),
        users=Ids("user", [dataset.users[number] for number in users.tolist()]),
        items=Ids("item", [dataset.items[number] for number in items.tolist()]),
        features={name: Features(one.values[items], one.present[items]) for name, one in dataset.features.items()},
        titles=None,
        pictures=None,
    )


def whole_batch(dataset: Dataset, seed: int = 0) -> Batch:
    """All training pairs in one batch."""
    sampler = Sampler(dataset.interactions, dataset.interactions.count("train"))
    ((batch,),) = sampler.epoch(seeding.generator(seed, "batches"))
    return batch


def scores(model: Model) -> Float[Tensor, "n_users n_items"]:
    """What the model ranks by; it ends in evaluation mode."""
    with torch.no_grad():
        users, items = model.eval().representations(model.encode())
    return users @ items.T


def check_pure(model: Model, batch: Batch) -> None:
    """The loss is a finite scalar, depends on nothing hidden, and computing it writes nothing.

    Raises:
        AssertionError: it is not so.
    """
    before = _contents(model, batch)
    losses = []
    with torch.random.fork_rng():
        for _ in range(2):
            torch.manual_seed(0)
            encoded = model.train().encode()
            for _ in range(2):
                torch.manual_seed(1)
                losses.append(model.loss(encoded, batch))
    _require(losses[0].shape == () and bool(losses[0].isfinite()), f"the loss must be a finite scalar: {losses[0]}")
    _require(all(torch.equal(losses[0], loss) for loss in losses[1:]), f"equal calls must give equal losses: {losses}")
    changed = [name for name, value in _contents(model, batch).items() if before.get(name) != value]
    _require(not changed, f"encode and loss must write nothing, but changed {sorted(changed)}")


def check_gradients(model: Model, batch: Batch) -> None:
    """Every trainable parameter is reached by the loss and gets a finite gradient.

    Raises:
        AssertionError: it is not so.
    """
    params = {name: one for name, one in model.named_parameters() if one.requires_grad}
    loss = model.train().loss(model.encode(), batch)
    gradients: Sequence[Tensor | None] = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    for name, gradient in zip(params, gradients, strict=True):
        _require(gradient is not None and bool(gradient.isfinite().all()), f"{name}: no finite gradient: {gradient}")


def check_representations(model: Model, dataset: Dataset) -> None:
    """One finite vector a user and an item, all of one width, and the same ones when asked again.

    Raises:
        AssertionError: it is not so.
    """
    users, items = model.eval().representations(model.encode())
    wanted = [(size, users.shape[-1]) for size in (dataset.n_users, dataset.n_items)]
    _require([users.shape, items.shape] == wanted, f"the shapes must be {wanted}, but are {users.shape}, {items.shape}")
    _require(bool(users.isfinite().all() and items.isfinite().all()), "representations must be finite")
    _require(torch.equal(scores(model), scores(model)), "in evaluation mode encode must be deterministic")


def check_step(model: Model, batch: Batch, *, lr: float = 1e-3) -> None:
    """One step of Adam lowers the loss of the batch.

    Raises:
        AssertionError: it does not.
    """
    learner = Learner(model.train(), torch.optim.Adam(model.parameters(), lr=lr))
    with torch.random.fork_rng():
        before, after = (Plain().step(learner, batch) for _ in range(2))
    _require(bool(after < before), f"a step must lower the loss, but brought it from {before} to {after}")


def check_round_trip(model: Model, other: Model) -> None:
    """The state of a model, loaded into another of the same settings, gives equal scores.

    Raises:
        AssertionError: it does not, or the two scored alike to begin with.
    """
    _require(not torch.equal(scores(model), scores(other)), "the other model must start from other parameters")
    other.load_state_dict(model.state_dict())
    _require(torch.equal(scores(model), scores(other)), "state_dict does not hold all that scores depend on")


def check_permutation(make: Callable[[Dataset], Model], dataset: Dataset) -> None:
    """Other numbers for users and items change neither loss nor scores, up to rounding.

    ``make`` builds the model with any initial parameters. What those belong to is told by their number of rows, so no
    other size in the model may equal the number of users, of items or of both.

    Raises:
        AssertionError: they do.
    """
    stream = np.random.default_rng(0)
    users, items = stream.permutation(dataset.n_users), stream.permutation(dataset.n_items)
    nodes = np.concatenate([users, items + dataset.n_users])
    orders = {torch.Size([len(order)]): torch.from_numpy(order) for order in (users, items, nodes)}
    model, other = make(dataset), make(permuted(dataset, users, items))
    rows = {name: orders.get(one.shape[:1], ...) for name, one in model.state_dict().items()}
    other.load_state_dict({name: one[rows[name]] for name, one in model.state_dict().items()})
    batch = whole_batch(dataset)
    new = [torch.from_numpy(np.argsort(order)) for order in (users, items, items)]
    moved = Batch(*(numbers[getattr(batch, one.name)] for numbers, one in zip(new, fields(batch), strict=True)))
    losses = [one.train().loss(one.encode(), given) for one, given in ((model, batch), (other, moved))]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(scores(other), scores(model)[users][:, items], rtol=1e-4, atol=1e-5)


def fit(model: Model, dataset: Dataset, *, epochs: int, lr: float = 0.05, seed: int = 0) -> None:
    """Plain training with Adam, one whole batch a step, hooks included; the model ends in evaluation mode."""
    learner = Learner(model.train(), torch.optim.Adam(model.parameters(), lr=lr))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for epoch in range(1, epochs + 1):
            model.on_epoch_start(seeding.generator(seed, "model", epoch))
            Plain().step(learner, whole_batch(dataset, seeding.number(seed, "batches", epoch)))
            model.on_step_end()
    model.eval()


def _contents(model: Model, batch: Batch) -> dict[str, object]:
    """The values of all tensors, and the appearance of everything else that the modules hold."""
    held: dict[str, object] = {f"batch.{name}": column for name, column in vars(batch).items()}
    held |= dict(model.named_parameters()) | dict(model.named_buffers())
    for path, module in model.named_modules():
        held |= {f"{path}.{name}": value for name, value in vars(module).items() if name != "training"}
    return {name: one.tolist() if isinstance(one, Tensor) else repr(one) for name, one in held.items()}


def _require(claim: bool, message: str) -> None:
    if not claim:
        raise AssertionError(message)
