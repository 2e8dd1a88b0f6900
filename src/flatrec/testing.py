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
    *, blocks: int = 3, users: int = 8, items: int = 6, modalities: Sequence[str] = ("image", "text"), seed: int = 0
) -> Dataset:
    """Groups of users who each buy within their own block of items, so that the right recommendation is obvious.

    User q of a block has item q of it (counted round and round) in validation, the next one in test, and all others
    of the block in training: the two items held out are all that is left of the block. Users and items are numbered
    block by block. Features are the block's unit vector plus noise; every modality has a width of its own.

    Args:
        blocks: number of blocks.
        users: users a block.
        items: items a block, at least 3.
        modalities: names of the features; none for a data set without.
        seed: decides the noise in the features.

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
    return Dataset(
        "blocks",
        Interactions(
            (block * users + user).astype(np.int32),
            (block * items + item).astype(np.int32),
            parts.astype(np.int8),
            blocks * users,
            blocks * items,
        ),
        Ids("user", [f"user {number}" for number in range(blocks * users)]),
        Ids("item", [f"item {number}" for number in range(blocks * items)]),
        features,
    )


def permuted(dataset: Dataset, users: Int[ndarray, "n_users"], items: Int[ndarray, "n_items"]) -> Dataset:
    """The same data set under other numbers.

    Args:
        dataset: has neither titles nor pictures.
        users: the former number of each user.
        items: the former number of each item.
    """
    pairs = dataset.interactions
    return replace(
        dataset,
        interactions=replace(
            pairs,
            users=np.argsort(users)[pairs.users].astype(np.int32),
            items=np.argsort(items)[pairs.items].astype(np.int32),
        ),
        users=Ids("user", [dataset.users[number] for number in users]),
        items=Ids("item", [dataset.items[number] for number in items]),
        features={name: Features(one.values[items], one.present[items]) for name, one in dataset.features.items()},
    )


def whole_batch(dataset: Dataset, seed: int = 0) -> Batch:
    """All training pairs in one batch."""
    sampler = Sampler(dataset.interactions, dataset.interactions.count("train"))
    ((batch,),) = sampler.epoch(seeding.generator(seed, "batches"))
    return batch


def scores(model: Model) -> Float[Tensor, "n_users n_items"]:
    """What the model ranks by, in evaluation mode; the mode it was in comes back."""
    training = model.training
    with torch.no_grad():
        users, items = model.eval().representations(model.encode())
    model.train(training)
    return users @ items.T


def check_pure(model: Model, batch: Batch) -> None:
    """The loss is a finite scalar, depends on nothing hidden, and computing it writes nothing.

    Raises:
        AssertionError: it is not so.
    """
    before = _contents(model, batch)
    with torch.random.fork_rng():
        losses = []
        for _ in range(2):
            torch.manual_seed(0)
            encoded = model.train().encode()
            for _ in range(2):
                torch.manual_seed(1)
                losses.append(model.loss(encoded, batch))
    _require(losses[0].shape == () and bool(losses[0].isfinite()), f"the loss must be a finite scalar: {losses[0]}")
    _require(all(torch.equal(losses[0], loss) for loss in losses[1:]), f"equal calls must give equal losses: {losses}")
    after = _contents(model, batch)
    changed = [name for name in before.keys() | after.keys() if not _same(before.get(name), after.get(name))]
    _require(not changed, f"encode and loss must write nothing, but changed {sorted(changed)}")


def check_gradients(model: Model, batch: Batch) -> None:
    """Every trainable parameter is reached by the loss and gets a finite gradient.

    Raises:
        AssertionError: it is not so.
    """
    names, params = zip(*((name, one) for name, one in model.named_parameters() if one.requires_grad), strict=True)
    gradients = torch.autograd.grad(model.train().loss(model.encode(), batch), params, allow_unused=True)
    for name, gradient in zip(names, gradients, strict=True):
        _require(gradient is not None, f"the loss does not reach parameter {name}")
        _require(gradient is None or bool(gradient.isfinite().all()), f"the gradient of {name} is not finite")


def check_representations(model: Model, dataset: Dataset) -> None:
    """One finite vector a user and an item, all of one width, and the same ones when asked again.

    Raises:
        AssertionError: it is not so.
    """
    users, items = model.eval().representations(model.encode())
    _require(len(users) == dataset.n_users and len(items) == dataset.n_items, "one row a user and an item")
    _require(users.shape[1:] == items.shape[1:] and users.ndim == 2, "users and items must be equally wide matrices")
    _require(bool(users.isfinite().all() and items.isfinite().all()), "representations must be finite")
    _require(torch.equal(scores(model), scores(model)), "in evaluation mode encode must be deterministic")


def check_step(model: Model, batch: Batch, *, lr: float = 1e-3) -> None:
    """One step of Adam lowers the loss of the batch.

    Raises:
        AssertionError: it does not.
    """
    learner = _learner(model.train(), lr)
    before, after = (Plain().step(learner, batch) for _ in range(2))
    _require(bool(after < before), f"a step must lower the loss, but brought it from {before} to {after}")


def check_round_trip(model: Model, other: Model) -> None:
    """The state of a model, loaded into another of the same settings, gives equal scores.

    Raises:
        AssertionError: it does not, or the two scored alike from the start, which proves nothing.
    """
    _require(not torch.equal(scores(model), scores(other)), "the other model must start from other parameters")
    other.load_state_dict(model.state_dict())
    _require(torch.equal(scores(model), scores(other)), "state_dict does not hold all that scores depend on")


def check_permutation(make: Callable[[Dataset], Model], dataset: Dataset, seed: int = 0) -> None:
    """Other numbers for users and items change neither loss nor scores, up to rounding.

    Parameters are told by their number of rows, so the numbers of users, items and both together must differ from
    one another and from every width.

    Args:
        make: builds the model with any initial parameters.
        dataset: what to number anew.
        seed: decides how.

    Raises:
        AssertionError: they do.
    """
    stream = np.random.default_rng(seed)
    users, items = stream.permutation(dataset.n_users), stream.permutation(dataset.n_items)
    nodes = np.concatenate([users, items + dataset.n_users])
    orders = {len(order): torch.from_numpy(order) for order in (users, items, nodes)}
    model, other = make(dataset), make(permuted(dataset, users, items))
    state = {name: one[orders[len(one)]] if len(one) in orders else one for name, one in model.state_dict().items()}
    other.load_state_dict(state)
    batch = whole_batch(dataset)
    new = [torch.from_numpy(np.argsort(order)) for order in (users, items, items)]
    moved = Batch(*(numbers[getattr(batch, one.name)] for numbers, one in zip(new, fields(batch), strict=True)))
    losses = [one.train().loss(one.encode(), given) for one, given in ((model, batch), (other, moved))]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(scores(other), scores(model)[users][:, items], rtol=1e-4, atol=1e-5)


def fit(model: Model, dataset: Dataset, *, epochs: int, lr: float = 0.05, seed: int = 0) -> None:
    """Plain training with Adam, one whole batch a step, hooks included; the model ends in evaluation mode."""
    learner = _learner(model.train(), lr)
    for epoch in range(1, epochs + 1):
        model.on_epoch_start(seeding.generator(seed, "model", epoch))
        Plain().step(learner, whole_batch(dataset, seeding.number(seed, "fit", epoch)))
        model.on_step_end()
    model.eval()


def _learner(model: Model, lr: float) -> Learner:
    return Learner(model, torch.optim.Adam([one for one in model.parameters() if one.requires_grad], lr=lr))


def _contents(model: Model, batch: Batch) -> dict[str, object]:
    """Copies of all tensors and containers, and whatever else is held itself, by place."""
    held: dict[str, object] = {f"batch.{one.name}": getattr(batch, one.name) for one in fields(batch)}
    held |= dict(model.named_parameters()) | dict(model.named_buffers())
    for path, module in model.named_modules():
        held |= {f"{path}.{name}": value for name, value in vars(module).items() if name != "training"}
    return {name: _copy(value) for name, value in held.items()}


def _copy(value: object) -> object:
    if isinstance(value, Tensor):
        return value.detach().clone()
    return repr(value) if isinstance(value, (dict, list, set)) else value


def _same(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    return one is other or (isinstance(one, str) and one == other)


def _require(claim: bool, message: str) -> None:
    if not claim:
        raise AssertionError(message)
