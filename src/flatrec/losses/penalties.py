"""Penalties on the free rows that a batch reads: the rows of tables, before any propagation or projection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from flatrec.ops.columns import column_norm, column_sum

Penalty: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]  # of users, positives and negatives


def norm_penalty(
    users: Float[Tensor, "batch _"], positives: Float[Tensor, "batch _"], negatives: Float[Tensor, "batch *_"]
) -> Float[Tensor, ""]:
    """The Frobenius norms of the three blocks, added up and divided by the batch size; not squared.

    With X_U, X_P and X_N the rows of the batch B:

        (|X_U| + |X_P| + |X_N|) / |B|

    The form that LightGCN has in the libraries the field compares with. It pulls a row x of a block X with
    x / (|B| |X|): the larger the whole block, the weaker. A block of zeros gives gradient 0.

    Args:
        users: rows of the users.
        positives: rows of the positives.
        negatives: rows of the negatives, one or N per interaction; of N, the norm is that of all of them.
    """
    blocks = (users, positives, negatives)
    return column_norm(torch.stack([torch.linalg.vector_norm(block) for block in blocks])).sum() / len(users)


def squared_penalty(
    users: Float[Tensor, "batch _"], positives: Float[Tensor, "batch _"], negatives: Float[Tensor, "batch *_"]
) -> Float[Tensor, ""]:
    """Half the squares of the rows per interaction.

    With x the rows and N the number of negatives per interaction:

        1 / (2 |B|) * sum over (u, p, n_1..n_N) in B of (|x_u|^2 + |x_p|^2 + 1 / N * sum over n of |x_n|^2)

    The penalty of the papers of BPR (Rendle et al., UAI 2009, section 4.3.1) and LightGCN (He et al., SIGIR 2020,
    eq. 15): weighted by lambda, each occurrence of a row x pulls it with lambda * x / |B|, whatever the other rows are.
    A row that occurs often is pulled often.

    Deviations: the papers add up over the batch or all parameters; the mean over interactions is what goes with a mean
    of the ranking loss. Negatives count as one per interaction, so that their number does not change the weight.

    Args:
        users: rows of the users; all of a user's free rows side by side where there are several tables.
        positives: rows of the positives.
        negatives: rows of the negatives, one or N per interaction.
    """
    n_negatives = negatives.shape[1] if negatives.ndim == 3 else 1
    squares = users.square().sum() + positives.square().sum() + negatives.square().sum() / n_negatives
    return column_sum(squares) / (2 * len(users))
