"""SAF and MESA: the ranking of a batch may not turn suddenly, beside that of earlier epochs or of an average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector
from flatrec.strategies.batch_rows import BatchRows
from flatrec.strategies.context import StepContext
from flatrec.strategies.contrib.trajectory import PastEpochStrategy, Tables, TrajectoryStrategy
from flatrec.strategies.state import state_vector
from flatrec.utils.checked_settings import Decay
from flatrec.utils.ranges import NonNegativeFloat, PositiveFloat


@dataclass(kw_only=True, eq=False)
class SAF(PastEpochStrategy):
    """Sharpness-aware training for free (Du et al., NeurIPS 2022, https://arxiv.org/abs/2205.14083).

    With h^e the final embeddings in epoch e, E = ``window``, T = ``temperature``, and for an interaction of the batch B
    the scores z^e = (<h_u^e, h_p^e>, <h_u^e, h_n^e>, ...) of its item p and its negatives n, the base optimizer gets
    the gradient of

        L(h^e) + lam T^2 / |B| * sum over B of KL(softmax(z^(e-E) / T) || softmax(z^e / T))

    the past being constant. It takes one gradient a step, and begins as soon as there is a past of E epochs; the
    loss that is reported is L. With one negative, softmax(z) is the probability by which BPR ranks p above n.

    Weight, temperature, window and the factor T^2 are those of the release. Deviations:

    - The paper classifies, and its z are the scores of all classes. A recommender ranks, and the items of an
      interaction in the batch take the place of the classes.
    - Paper and release keep what each training example gave in epoch e - E. Negatives are drawn again in every epoch,
      so that there is no such output here; the past scores are those of the embeddings at the beginning of epoch e - E,
      as in SharpCF, and all belong to one model. This takes E + 1 tables of users and items of memory, also in a
      checkpoint.
    - The release begins after six epochs, which is ``start_epoch=6``; the default is 0, as for all strategies here.

    There is no optimizer of this strategy in :mod:`flatrec.optim`, where users and items are not seen.

    Args:
        temperature: T, by which the scores are divided; above the scores, the term is a squared change of differences.

    Example:
        >>> SAF(lam=0.3, window=3).gradients_per_step
        1.0

    Raises:
        ValueError: a setting is out of range.
    """

    SEARCH_SPACE = {"lam": (0.03, 0.3, 3.0, 30.0)}

    lam: NonNegativeFloat = 0.3
    temperature: PositiveFloat = 5.0

    def plus_pull(self, gradient: Tensor, tables: Tables, rows: BatchRows) -> Tensor:
        """The divergence from the ranking of the past."""
        return plus_divergence_gradient(gradient, self.lam, self.temperature, (tables, rows))


@dataclass(kw_only=True, eq=False)
class MESA(TrajectoryStrategy):
    """Memory-efficient sharpness-aware training (Du et al., NeurIPS 2022, https://arxiv.org/abs/2205.14083).

    SAF whose past is an exponential moving average of the model. With h_t the final embeddings at step t and z_t the
    scores of the items of an interaction, as in :class:`SAF`:

        a_t = decay a_(t-1) + (1 - decay) h_t, beginning with a_0 = h_0
        L(h_t) + lam T^2 / |B| * sum over B of KL(softmax(z(a_t) / T) || softmax(z_t / T))

    a_t being constant. It takes one gradient a step, and one more table of users and items of memory, also in a
    checkpoint; the loss that is reported is L.

    Weight, temperature and the factor T^2 are those of the release. Deviations beside those of SAF:

    - The average is one of final embeddings, where that of the paper is one of weights, which would take another
      ``encode`` a step. Where ``encode`` is linear, as in matrix factorization and LightGCN without dropout, the two
      are the same.
    - The release's decay of 0.9998 spans four epochs of ImageNet; here an epoch has tens of steps, and the default is
      that of ``training.average_decay``.

    Args:
        temperature: T, by which the scores are divided.
        decay: weight of the average before each step.

    Example:
        >>> MESA(lam=0.8, decay=0.99).gradients_per_step
        1.0

    Raises:
        ValueError: a setting is out of range.
    """

    SEARCH_SPACE = {"lam": (0.08, 0.8, 8.0, 80.0)}

    lam: NonNegativeFloat = 0.8
    temperature: PositiveFloat = 5.0
    decay: Decay = 0.998
    average: Vector = state_vector()

    def before(self, context: StepContext[Any], table: Tensor) -> Tensor | None:  # noqa: ARG002 - the base class's
        """The average, which follows the embeddings of now first."""
        self.average = [torch.lerp(self.average[0], table, 1 - self.decay) if self.average else table.clone()]
        return self.average[0]

    def plus_pull(self, gradient: Tensor, tables: Tables, rows: BatchRows) -> Tensor:
        """The divergence from the ranking of the average."""
        return plus_divergence_gradient(gradient, self.lam, self.temperature, (tables, rows))


def plus_divergence_gradient(
    gradient: Tensor, weight: float, temperature: float, where: tuple[Tables, BatchRows]
) -> Tensor:
    """A gradient plus that of weight T^2 times the mean of KL(softmax(z' / T) || softmax(z / T)), by the table of now.

    Args:
        gradient: what is added to.
        weight: of the divergence.
        temperature: T.
        where: the tables of z, of now, and of z', of before; and the rows of the batch, whose positives and negatives
            are the items that z scores.
    """
    tables, rows = where
    columns = torch.cat([rows.positives[:, None], rows.negatives], dim=1)
    (users, items), (past_users, past_items) = ((table[rows.users], table[columns]) for table in tables)
    now, before = (
        torch.softmax((one[:, None] * other).sum(dim=2) / temperature, dim=1)
        for one, other in ((users, items), (past_users, past_items))
    )
    pull = ((now - before) * (weight * temperature / len(users)))[:, :, None]
    total = gradient.clone().index_add_(0, rows.users, (pull * items).sum(dim=1))
    return total.index_add_(0, columns.flatten(), (pull * users[:, None]).flatten(0, 1))
