"""The epochs of training: shuffled passes over the training interactions, in batches."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray
from torch import Generator, Tensor

from flatrec.data.batches import Batch, SecondBatch
from flatrec.data.interactions import Interactions
from flatrec.sampling.base import NegativeSampling
from flatrec.sampling.unbought import UnboughtItems
from flatrec.sampling.uniform import Uniform
from flatrec.utils.devices import drawing, generator_on, moved

DRAWN_AT_ONCE = 2**25  # negatives that a GPU draws at once, which takes about 3 GB

logger = logging.getLogger(__name__)


class Sampler:
    """Shuffled epochs over the training interactions.

    Each pass reads every interaction once, or, with weighted sampling, draws as many as there are: with replacement, an
    interaction of weight w with probability w / (sum of the weights) in each draw.

    Negatives are items that the user has no training interaction with. Users who have every item have none; their
    interactions are left out, with a warning in the log.

    A GPU by CUDA draws its own batches, with a generator of its own that is seeded by the given one: they have the same
    distribution as those of the CPU, and are others. For any other device they are drawn on the CPU and copied.

    Args:
        interactions: the interactions whose training split is sampled.
        batch_size: number of interactions per batch; the last batch of a pass may be smaller.
        device: the device of the batches.
        weighted: whether passes are drawn by the weights of the interactions.
        negatives: how negatives are chosen; one uniform negative per interaction if left out.

    Example:
        >>> from flatrec.testing import block_dataset
        >>> sampler = Sampler(block_dataset().interactions, batch_size=64)
        >>> first, second = next(sampler.epoch(torch.Generator(), batches_per_step=2))
        >>> len(first), len(second)
        (64, 64)

    Raises:
        ValueError: there is no interaction to train on, the batch size is below 1, or interactions without weights are
            to be drawn by them.
    """

    def __init__(
        self,
        interactions: Interactions,
        batch_size: int,
        device: torch.device | None = None,
        *,
        weighted: bool = False,
        negatives: NegativeSampling = Uniform(),  # noqa: B008 - frozen
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, but is {batch_size}")
        self.batch_size = batch_size
        self.device = device
        self._drawing = drawing(device)
        trainable = _trainable(interactions)
        self._users, self._positives = (
            torch.from_numpy(column[trainable].astype(np.int64)).to(self._drawing)
            for column in interactions.indices("train")
        )
        sums = torch.from_numpy(_weight_sums(interactions, trainable)) if weighted else None
        self._weight_sums = None if sums is None else sums.to(self._drawing)
        self._negatives = negatives
        self._unbought = UnboughtItems(interactions, negatives.weights(interactions), self._drawing)
        log_q = negatives.log_q(interactions)
        self._log_q = None if log_q is None else log_q.to(device)

    def __len__(self) -> int:
        """Return the number of batches per pass."""
        return -(-len(self._users) // self.batch_size)

    def steps(self, batches_per_step: int, second_batch: SecondBatch) -> int:
        """Return the number of updates per epoch."""
        return len(self) if second_batch == "independent" else -(-len(self) // batches_per_step)

    def epoch(
        self, generator: Generator, batches_per_step: int = 1, second_batch: SecondBatch = "independent"
    ) -> Iterator[tuple[Batch, ...]]:
        """Yield the batches of each step of one epoch.

        Args:
            generator: the source of all randomness, of the CPU; equal states give equal epochs on one device.
            batches_per_step: number of batches per step.
            second_batch: ``independent`` draws each from its own shuffled pass (every interaction is read that many
                times); ``split`` takes successive batches of one pass. A last step with too few batches is filled
                from the front of the pass.
        """
        generator = generator_on(self._drawing, generator)
        if second_batch == "independent":
            yield from zip(*(self._one_pass(generator) for _ in range(batches_per_step)), strict=True)
            return
        batches = itertools.cycle(self._one_pass(generator))
        for _ in range(self.steps(batches_per_step, second_batch)):
            yield tuple(itertools.islice(batches, batches_per_step))

    def _one_pass(self, generator: Generator) -> list[Batch]:
        order = self._order(generator)
        users, positives = self._users[order], self._positives[order]
        drawn = self._drawn(users, generator)
        columns = [moved(column, self.device).split(self.batch_size) for column in (users, positives, drawn)]
        kind = self._negatives
        return [
            Batch(users, positives, negatives, kind.in_batch, kind.hardest, self._log_q)
            for users, positives, negatives in zip(*columns, strict=True)
        ]

    def _drawn(self, users: Int64[Tensor, "n"], generator: Generator) -> Int64[Tensor, "n n_negatives"]:
        """Return the negatives of a pass; on a GPU some at a time, as its memory is the smaller one."""
        count = self._negatives.n_drawn
        if users.device.type == "cpu":
            return self._unbought.draw(users, generator, count)
        portions = users.split(max(1, DRAWN_AT_ONCE // count))
        return torch.cat([self._unbought.draw(portion, generator, count) for portion in portions])

    def _order(self, generator: Generator) -> Int64[Tensor, "n"]:
        """Return the interactions of a pass: a permutation, or independent draws by weight."""
        if self._weight_sums is None:
            return torch.randperm(len(self._users), generator=generator, device=self._drawing)
        uniform = torch.rand(len(self._users), generator=generator, dtype=torch.float64, device=self._drawing)
        drawn = torch.searchsorted(self._weight_sums, uniform * self._weight_sums[-1], right=True)
        return drawn.clamp_(max=len(self._users) - 1)  # the product may be rounded up to the sum of all weights


def _weight_sums(interactions: Interactions, trainable: Bool[ndarray, "n_train"]) -> Float64[ndarray, "n"]:
    """Return the running sum of the weights of the interactions that are drawn."""
    if interactions.weights is None:
        raise ValueError("weighted sampling needs weights, but the interactions have none; sample without weights")
    sums: ndarray = np.cumsum(interactions.weights[interactions.mask("train")][trainable], dtype=np.float64)
    return sums


def _trainable(interactions: Interactions) -> Bool[ndarray, "n_train"]:
    """Return True for each training interaction of a user who lacks an item."""
    users, _ = interactions.indices("train")
    trainable: ndarray = np.bincount(users, minlength=interactions.n_users)[users] < interactions.n_items
    if not trainable.any():
        raise ValueError(
            f"training needs a user with a training interaction and an item without one, but none of the {len(users)} "
            f"training interactions over {interactions.n_items} items has such a user; give more items or interactions"
        )
    if not trainable.all():
        logger.warning("%d training interactions of users who have every item are left out", int((~trainable).sum()))
    return trainable
