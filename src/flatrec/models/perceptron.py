"""Scores that a small perceptron makes of the product of a user's and an item's vector."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from flatrec.ops.matmul import linear

NO_VECTORS = "the scores of a perceptron are no inner products of vectors; train with --set model.predictor=dot"


@dataclass(frozen=True, eq=False)
class ProductPerceptron:
    """The score is sigma(<w, LeakyReLU(W (a * b) + c)> + d) for the vectors a of a user and b of an item.

    a * b is the product by entries, so that the units need one matrix product each, of W's row times a with b.

    Args:
        users: one vector per user.
        items: one vector per item, of the same width.
        hidden_weight: W, one row per unit.
        hidden_bias: c.
        output_weight: w.
        output_bias: d.
        negative_slope: slope of the LeakyReLU below 0.

    Example:
        >>> one = torch.ones(1, 2)
        >>> zero = torch.zeros(1)
        >>> ProductPerceptron(one, one, one, zero, zero, zero[0]).scores(torch.tensor([0])).tolist()
        [[0.5]]
    """

    users: Float[Tensor, "n_users dim"]
    items: Float[Tensor, "n_items dim"]
    hidden_weight: Float[Tensor, "n_hidden dim"]
    hidden_bias: Float[Tensor, "n_hidden"]
    output_weight: Float[Tensor, "n_hidden"]
    output_bias: Float[Tensor, ""]
    negative_slope: float = 0.01

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.items)

    def scores(self, users: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        """Return the scores of all items for each of the users; two such matrices are held at once.

        They take 8 bytes for each user of the block and item in float32.
        """
        return self._scores(self.users[users.to(self.users.device)], self.items)

    def scores_of_item(self, users: slice, item: int) -> Float[Tensor, "block"]:
        """Return the score of one item for each of the users."""
        return self._scores(self.users[users], self.items[[item]])[:, 0]

    def item_similarities(self, item: int) -> Float[Tensor, "n_items"]:
        """Return the cosine of every item's vector with that of an item, itself included."""
        directions = F.normalize(self.items, dim=1)
        return directions @ directions[item]

    def of_users(self, rows: Int64[Tensor, "n_kept"]) -> ProductPerceptron:
        """Return the same for some of the users."""
        return replace(self, users=self.users[rows])

    def tensors(self) -> dict[str, Tensor]:
        """Return everything but the slope, by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "negative_slope"}

    def on_cpu(self) -> ProductPerceptron:
        """Return a copy in float32 on the CPU, which no further training changes."""
        copies = {name: tensor.detach().float().cpu().clone() for name, tensor in self.tensors().items()}
        return ProductPerceptron(**copies, negative_slope=self.negative_slope)

    @torch.no_grad()
    def _scores(
        self, users: Float[Tensor, "block dim"], items: Float[Tensor, "n_listed dim"]
    ) -> Float[Tensor, "block n_listed"]:
        total = self.output_bias.expand(len(users), len(items)).clone()
        for row, bias, weight in zip(self.hidden_weight, self.hidden_bias, self.output_weight, strict=True):
            # Without a name for the unit, its memory is free before the next one is computed.
            total.add_(F.leaky_relu_(linear(users * row, items).add_(bias), self.negative_slope).mul_(weight))
        return total.sigmoid_()
