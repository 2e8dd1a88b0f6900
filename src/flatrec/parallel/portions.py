"""The portions of each batch that one process computes the gradient of, and the sums over all processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector
from flatrec.ops.process_group import ProcessGroup

Portion = TypeVar("Portion")


class Portions:
    """What a process computes of gradients, of which several processes compute one, each of some portions of a batch.

    Together they compute what a single process does that takes the portions one after the other. So they all see its
    dropout masks: the seed of a step is drawn from the state that the last portion of the step before left, and the
    process that had this portion tells it to the others.

    Args:
        group: this process among the others.
    """

    def __init__(self, group: ProcessGroup) -> None:
        self.group = group
        self._rank_of_last = 0

    @property
    def size(self) -> int:
        """How many processes there are."""
        return self.group.size

    def own(self, portions: Sequence[Portion]) -> Sequence[Portion]:
        """Return the portions of this process; none for the last processes if there are too few portions."""
        self._rank_of_last = min(len(portions), self.group.size) - 1
        return portions[self.group.own(len(portions))]

    def seed(self, drawn: int) -> int:
        """Return the seed that a single process would draw, given the one that this process drew.

        Raises:
            LostProcessError: another process is gone.
        """
        return self.group.integer_of(self._rank_of_last, drawn)

    def sums(
        self, losses: Sequence[Tensor], gradients: Sequence[Vector], params: Vector, n_batches: int
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Return the losses and gradients of whole batches, the same bits in every process.

        Args:
            losses: of the portions of this process, one per batch; empty if it had no portion.
            gradients: the same of the gradients.
            params: what the gradients are taken by.
            n_batches: number of batches.

        Raises:
            LostProcessError: another process is gone.
        """
        if not losses:
            losses = [params[0].new_zeros((), dtype=torch.float32)] * n_batches
            gradients = [[torch.zeros_like(parameter) for parameter in params]] * n_batches
        sums = [self.group.sum_all([*one, loss]) for loss, one in zip(losses, gradients, strict=True)]
        return [tensors[-1] for tensors in sums], [tensors[:-1] for tensors in sums]
