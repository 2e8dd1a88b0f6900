"""Batches of training pairs with sampled negatives, and the epoch that yields them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Int64
from torch import Generator, Tensor

from flatrec.data.interactions import Interactions

SecondBatch: TypeAlias = Literal["independent", "split"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Batch:
    """Training pairs by number, each with one item that its user has not interacted with in training."""

    users: Int64[Tensor, "batch"]
    positives: Int64[Tensor, "batch"]
    negatives: Int64[Tensor, "batch"]

    def __len__(self) -> int:
        return len(self.users)

    def split(self, portions: int) -> list[Batch]:
        """So many portions of almost equal size, which are views."""
        parts = (one.tensor_split(portions) for one in (self.users, self.positives, self.negatives))
        return [Batch(*part) for part in zip(*parts, strict=True)]


class Sampler:
    """Shuffled epochs over the training pairs.

    A negative is uniform over the items its user has no training pair with, drawn exactly and
    without rejection: a rank among those items is drawn and turned into an item by one binary search, so the cost
    does not grow with how much a user bought. Users who have every item have no negative; their pairs are left
    out, with a warning in the log.

    Args:
        interactions: whose training pairs are sampled.
        batch_size: pairs a batch; the last batch of a pass may be smaller.
        device: where the batches go.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> sampler = Sampler(block_dataset().interactions, batch_size=64)
        >>> first, second = next(sampler.epoch(torch.Generator(), batches_per_step=2))
        >>> len(first), len(second)
        (64, 64)

    Raises:
        ValueError: no pair can be trained on, or the batch size is below 1.
    """

    def __init__(self, interactions: Interactions, batch_size: int, device: torch.device | None = None) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, but is {batch_size}")
        self.batch_size = batch_size
        self.device = device
        self._users, self._positives = _trainable(interactions)
        self._n_items = interactions.n_items
        bought = interactions.matrix("train")
        self._starts = torch.from_numpy(bought.indptr.astype(np.int64))
        ranks = np.arange(bought.nnz) - np.repeat(bought.indptr[:-1], np.diff(bought.indptr))
        owners = np.repeat(np.arange(bought.shape[0]), np.diff(bought.indptr))
        # Item minus its rank = how many unbought items come before it; sorted within a user, so also over all.
        self._unbought_before = torch.from_numpy(owners * (self._n_items + 1) + bought.indices - ranks)

    def __len__(self) -> int:
        """Batches a pass."""
        return -(-len(self._users) // self.batch_size)

    def steps(self, batches_per_step: int, second_batch: SecondBatch) -> int:
        """Updates an epoch."""
        return len(self) if second_batch == "independent" else -(-len(self) // batches_per_step)

    def epoch(
        self, generator: Generator, batches_per_step: int = 1, second_batch: SecondBatch = "independent"
    ) -> Iterator[tuple[Batch, ...]]:
        """The batches of each step of one epoch.

        Args:
            generator: shuffles and draws; equal state, equal epoch.
            batches_per_step: how many batches a strategy asks for.
            second_batch: ``independent`` takes each from a shuffled pass of its own (every interaction is read that
                many times); ``split`` takes successive batches of one pass. A last step that comes out short is filled
                from the front of the pass.
        """
        if second_batch == "independent":
            yield from zip(*(self._one_pass(generator) for _ in range(batches_per_step)), strict=True)
            return
        batches = itertools.cycle(self._one_pass(generator))
        for _ in range(self.steps(batches_per_step, second_batch)):
            yield tuple(itertools.islice(batches, batches_per_step))

    def _one_pass(self, generator: Generator) -> list[Batch]:
        order = torch.randperm(len(self._users), generator=generator)
        users, positives = self._users[order], self._positives[order]
        columns = [column.to(self.device) for column in (users, positives, self.negatives(users, generator))]
        return [Batch(*parts) for parts in zip(*(column.split(self.batch_size) for column in columns), strict=True)]

    def negatives(self, users: Int64[Tensor, "n"], generator: Generator) -> Int64[Tensor, "n"]:
        """One uniform item a user among those that the user has no training pair with."""
        first, last = self._starts[users], self._starts[users + 1]
        unbought = self._n_items - (last - first)
        uniform = torch.rand(len(users), generator=generator, dtype=torch.float64)
        ranks = (uniform * unbought).long().clamp_(max=unbought - 1)
        keys = users * (self._n_items + 1) + ranks
        return ranks + torch.searchsorted(self._unbought_before, keys, right=True) - first


def _trainable(interactions: Interactions) -> tuple[Int64[Tensor, "n"], Int64[Tensor, "n"]]:
    users, items = interactions.indices("train")
    trainable = np.bincount(users, minlength=interactions.n_users)[users] < interactions.n_items
    if not trainable.any():
        raise ValueError(
            f"training needs a user with a training pair and an item without one, but none of the {len(users)} "
            f"training pairs over {interactions.n_items} items has such a user; give more items or pairs"
        )
    if not trainable.all():
        logger.warning("%d training pairs of users who have every item are left out", int((~trainable).sum()))
    return torch.from_numpy(users[trainable].astype(np.int64)), torch.from_numpy(items[trainable].astype(np.int64))
