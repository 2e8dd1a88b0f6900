"""The check that nothing depends on which index a user or item has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models.base import Model
from flatrec.testing.datasets import permuted, whole_batch
from flatrec.testing.messages import NotApplicableError, number, require
from flatrec.testing.owners import Owners, owners
from flatrec.testing.runs import copied, encoded, evaluated, loss_of, random_state, same, seeded, well_shaped
from flatrec.utils.seeding import generator


@dataclass(frozen=True, eq=False)
class _Renumbering:
    """Other indices for the users and items of a data set: the former index of each."""

    users: Int[ndarray, "n_users"]
    items: Int[ndarray, "n_items"]

    @property
    def nodes(self) -> Int[ndarray, "n_nodes"]:
        return np.concatenate([self.users, self.items + len(self.users)])

    def batch(self, batch: Batch) -> Batch:
        """The same interactions under the new indices."""
        users, items = (torch.from_numpy(np.argsort(order)) for order in (self.users, self.items))
        return batch.with_indices(users[batch.users], items[batch.positives], items[batch.negatives])

    def tensor(self, value: Tensor, owners: Owners) -> Tensor:
        """The same entries under the new indices, given what each dimension counts."""
        orders = {"users": self.users, "items": self.items, "nodes": self.nodes}
        for place, owner in enumerate(owners):
            if owner is not None:
                value = value.index_select(place, torch.from_numpy(orders[owner]))
        return value


def check_permutation(make: Callable[[Dataset], Model], dataset: Dataset) -> None:
    """Other indices of users and items change neither scores nor, in evaluation mode, the loss, up to rounding.

    ``make`` builds the model with any initial parameters. Which of their dimensions count users, items or both is told
    by building it on larger data too. A loss that is random, or that an epoch draws for, is not compared.

    Raises:
        AssertionError: they do.
        NotApplicableError: evaluation is random or of the wrong shape, or a parameter's size follows from users and
            items in another way.
    """
    make = seeded(make)
    _check_applicable(make, dataset)
    stream = np.random.default_rng(0)
    order = _Renumbering(stream.permutation(dataset.n_users), stream.permutation(dataset.n_items))
    model, other = make(dataset), make(permuted(dataset, order.users, order.items))
    _load_renumbered(other, model, order, _owners(make, dataset))
    here, there = (users @ items.T for users, items in map(evaluated, (model, other)))
    _require_close("scores", there, here[order.users][:, order.items])
    batch = whole_batch(dataset)
    if same(*(_loss(make(dataset), batch, noise) for noise in (1, 2))):
        _require_close("the loss", _loss(other, order.batch(batch)), _loss(model, batch))


def _check_applicable(make: Callable[[Dataset], Model], dataset: Dataset) -> None:
    first, second = (evaluated(make(dataset), noise=noise) for noise in (1, 2))
    if not well_shaped(first, dataset):
        raise NotApplicableError("embeddings have the wrong shape, which another check reports")
    if not all(map(same, first, second)):
        raise NotApplicableError("evaluation is random, which another check reports")


def _owners(make: Callable[[Dataset], Model], dataset: Dataset) -> dict[str, Owners]:
    """What each dimension of each floating-point tensor of the state counts: users, items, nodes or none of them."""
    told: dict[str, Owners] = {}
    tensors = _floating(make(dataset))
    for name, one in owners(make, dataset, _floating).items():
        if one is None:
            raise NotApplicableError(
                f"{name!r} has shape {tuple(tensors[name].shape)}, and which dimension counts users and which items "
                "cannot be told"
            )
        told[name] = one
    return told


def _floating(model: Model) -> dict[str, Tensor]:
    return {name: one for name, one in model.state_dict().items() if one.is_floating_point()}


def _load_renumbered(other: Model, model: Model, order: _Renumbering, owners: Mapping[str, Owners]) -> None:
    """Give a model the state of another under new indices; integers in it stay, being numbers or counts."""
    state = other.state_dict()
    state |= {name: order.tensor(model.state_dict()[name], one) for name, one in owners.items()}
    other.load_state_dict(state)


def _loss(model: Model, batch: Batch, noise: int = 0) -> Tensor:
    """The loss in evaluation mode in the first epoch; what the hook draws and all noise come from ``noise``."""
    with torch.no_grad(), random_state(noise):
        model.train().on_epoch_start(generator(noise, "model", 1))
        return loss_of(model, encoded(model.eval()), copied(batch))


def _require_close(what: str, there: Tensor, here: Tensor) -> None:
    size = float(here.abs().max())
    change = float((there - here).abs().max())
    require(
        not change > 1e-4 * size + 1e-5,
        f"{what} must not depend on the indices of users and items, but changes by up to {number(change)} (of "
        f"{number(size)}) under other indices; use indices to look rows up, and for nothing else",
    )
