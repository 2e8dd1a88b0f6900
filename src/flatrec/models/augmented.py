"""What a model reads of a data set's augmentation: filled vectors, some of them masked, and suggested pairs."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from flatrec.data.augmentation import Augmentation
from flatrec.data.batches import Batch


class AugmentedVectors(nn.Module):
    """The profiles of users, or an attribute of items; rows without one have the mean of the others.

    Frozen: no part of a model's state, they come from the data set also when a model is loaded.
    """

    values: Float[Tensor, "n width"]
    mean: Float[Tensor, "width"]

    def __init__(self, values: Float[Tensor, "n width"]) -> None:
        super().__init__()
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("mean", values.mean(dim=0), persistent=False)

    def forward(self, masked: Int64[Tensor, "n_masked"]) -> Float[Tensor, "n width"]:
        """Return the vectors, those of masked rows replaced by the mean of all."""
        return self.values if not len(masked) else self.values.index_copy(0, masked, self.mean.expand(len(masked), -1))


class Suggestions(nn.Module):
    """For each user a liked and a disliked item, -1 twice for none."""

    chosen: Int64[Tensor, "n_users two"]

    def __init__(self, augmentation: Augmentation) -> None:
        super().__init__()
        items = augmentation.suggestions
        self.register_buffer("chosen", None if items is None else torch.tensor(items), persistent=False)

    def extended(self, batch: Batch, fraction: float, *, random: bool) -> Batch:
        """Return the batch with the pairs of some of its users behind its interactions.

        Args:
            batch: of which users are drawn, without replacement of its interactions.
            fraction: of the interactions whose users are drawn; those without a pair add nothing.
            random: whether they are drawn at all; otherwise the first ones are taken.
        """
        count = int(len(batch) * fraction)
        if self.chosen is None or not count:
            return batch
        users = batch.users[drawn(len(batch), count, batch.users.device) if random else slice(count)]
        liked, disliked = self.chosen[users].unbind(dim=1)
        there = (liked >= 0) & (disliked >= 0)
        negatives = disliked[there, None].expand(-1, batch.negatives.shape[1])
        return batch.with_indices(
            torch.cat([batch.users, users[there]]),
            torch.cat([batch.positives, liked[there]]),
            torch.cat([batch.negatives, negatives]),
        )


def drawn(size: int, count: int, device: torch.device) -> Int64[Tensor, "count"]:
    """Return some of the first whole numbers in random order, without repetition."""
    return torch.randperm(size, device=device)[:count]
