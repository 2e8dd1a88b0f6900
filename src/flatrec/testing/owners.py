"""What each dimension of a model's tensors counts: users, items, or both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from flatrec.data.dataset import Dataset
from flatrec.models.base import Model
from flatrec.testing.datasets import enlarged

MORE_USERS, MORE_ITEMS = 7, 4  # copies by which the sizes that belong to users, items or both are told
Owner: TypeAlias = Literal["users", "items", "nodes"]  # nodes: all users, then all items
Owners: TypeAlias = tuple[Owner | None, ...]  # one per dimension; None where it counts neither
_Found: TypeAlias = Owner | Literal["neither", "unknown"]
_KNOWN: Mapping[_Found, Owner | None] = {"users": "users", "items": "items", "nodes": "nodes", "neither": None}


def owners(
    make: Callable[[Dataset], Model], dataset: Dataset, tensors: Callable[[Model], Mapping[str, Tensor]]
) -> dict[str, Owners | None]:
    """Return what each dimension of each tensor counts; None for a tensor with a dimension that nothing here explains.

    No size is compared with the numbers of users and items of one data set, which may be equal to each other or to the
    width of a layer. The model is built three times: on the data, with more users, and with more items; a dimension
    counts what makes it grow.

    Args:
        make: builds the model.
        dataset: a small data set.
        tensors: the tensors of a model by name.
    """
    data = (dataset, enlarged(dataset, users=MORE_USERS), enlarged(dataset, items=MORE_ITEMS))
    here, more_users, more_items = ({name: one.shape for name, one in tensors(make(each)).items()} for each in data)
    return {
        name: _of_tensor(dataset, shape, more_users.get(name), more_items.get(name)) for name, shape in here.items()
    }


def _of_tensor(
    dataset: Dataset, shape: torch.Size, more_users: torch.Size | None, more_items: torch.Size | None
) -> Owners | None:
    if more_users is None or more_items is None or not len(shape) == len(more_users) == len(more_items):
        return None
    sizes = zip(shape, more_users, more_items, strict=True)
    found = [_of_dimension(dataset, size, (longer - size, wider - size)) for size, longer, wider in sizes]
    known = [_KNOWN[one] for one in found if one != "unknown"]
    return tuple(known) if len(known) == len(found) else None


def _of_dimension(dataset: Dataset, size: int, growth: tuple[int, int]) -> _Found:
    n_users, n_items = dataset.n_users, dataset.n_items
    if growth == (0, 0):
        return "neither"
    if (size, growth) == (n_users, (MORE_USERS, 0)):
        return "users"
    if (size, growth) == (n_items, (0, MORE_ITEMS)):
        return "items"
    return "nodes" if (size, growth) == (n_users + n_items, (MORE_USERS, MORE_ITEMS)) else "unknown"
