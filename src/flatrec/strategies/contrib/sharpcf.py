"""SharpCF: scores may not run away from those of some epochs before."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from flatrec.strategies.batch_rows import BatchRows
from flatrec.strategies.contrib.trajectory import PastEpochStrategy, Tables


@dataclass(kw_only=True, eq=False)
class SharpCF(PastEpochStrategy):
    """Sharpness-aware collaborative filtering (Chen et al., RecSys 2023, https://arxiv.org/abs/2308.13541).

    With h^e the final embeddings in epoch e and E = ``window``, the base optimizer gets the gradient of

        L(h^e) + lam / |B| * sum over the interactions (u, p) of B of (<h_u^e, h_p^e> - <h_u^(e-E), h_p^(e-E)>)^2

    the past scores being constants. It takes one gradient a step, and begins as soon as there are scores of E epochs
    before. The second term is the trajectory loss; the loss that is reported is L.

    Deviations:

    - Public implementations by others, after which this one is written since the authors published none, keep the
      score that each interaction had when it was trained on in epoch e - E. Here the past scores are those of the
      embeddings at the beginning of epoch e - E: a batch does not say which of the training interactions it holds, and
      all past scores then belong to one and the same model. This takes E + 1 tables of embeddings of memory, also in a
      checkpoint.
    - They add this term to the *sum* of the losses of a batch, where models here take their mean: a weight of theirs is
      |B| times the one here.
    - The first epoch with a trajectory loss is ``start_epoch`` at the earliest, counted from 0.

    There is no optimizer of this strategy in :mod:`flatrec.optim`, where users and items are not seen.

    Example:
        >>> SharpCF(lam=0.1, window=3).gradients_per_step
        1.0

    Raises:
        ValueError: a setting is out of range.
    """

    SEARCH_SPACE = {"lam": (0.001, 0.01, 0.1, 1.0)}

    def plus_pull(self, gradient: Tensor, tables: Tables, rows: BatchRows) -> Tensor:
        """The squared change of the scores of the batch's interactions."""
        return plus_trajectory_gradient(gradient, self.lam, tables, rows)


def plus_trajectory_gradient(gradient: Tensor, weight: float, tables: Tables, rows: BatchRows) -> Tensor:
    """A gradient plus that of the weighted mean squared difference of the scores of two tables, by the one of now."""
    (users, items), (past_users, past_items) = ((table[rows.users], table[rows.positives]) for table in tables)
    gaps = (users * items).sum(dim=1) - (past_users * past_items).sum(dim=1)
    pull = (gaps * (2 * weight / len(gaps)))[:, None]
    total = gradient.clone()
    return total.index_add_(0, rows.users, pull * items).index_add_(0, rows.positives, pull * users)
