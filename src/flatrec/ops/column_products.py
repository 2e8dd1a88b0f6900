"""Inner products of rows within a batch, over the columns that several processes share."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from flatrec.ops.columns import column_sum, current_group
from flatrec.ops.logsumexp import log_sum_exp
from flatrec.ops.matmul import matmul


def column_log_sum_exp(
    left: Float[Tensor, "rows dim"], right: Float[Tensor, "n dim"], bound: float = math.inf
) -> Float[Tensor, "rows"]:
    """Return what :func:`flatrec.ops.logsumexp.log_sum_exp` does, by inner products over all columns.

    Where processes share the columns, all products are held at once: O(rows * n) memory, and one message of this size.
    """
    if current_group() is None:
        return log_sum_exp(left, right, bound)
    return column_sum(matmul(left, right.T)).logsumexp(dim=1)
