"""Helen: SAM whose radius follows how often a user or item occurs in the batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector, norm
from flatrec.strategies.base import FirstPass
from flatrec.strategies.batch_rows import no_rows, row_counts
from flatrec.strategies.context import BatchT
from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy
from flatrec.strategies.state import buffer
from flatrec.utils.ranges import Fraction


@dataclass(kw_only=True, eq=False)
class Helen(SAMStrategy):
    """Helen (Zhu et al., WWW 2024, https://arxiv.org/abs/2403.00798).

    With g_T the gradient of a table T, of users or of items, and N_r how often the batch reads row r of T:

        eps_r = rho * max(N_r / max_s N_s, bound) * g_r / ||g_T||

    then a base step with the gradient at the perturbed point. bound = 1 is SAM table by table. A user is read once per
    interaction, an item as a positive or as a negative.

    Deviations: the tables are those of the final embeddings, which for matrix factorization are the tables of the
    paper; parameters of other kinds, which the release perturbs by rho and the norm of the whole gradient, are not
    perturbed. That each table is divided by its own norm is the release's form. The base optimizer is whatever training
    has, where the release has an Adam of its own.

    With ``rho_scale="row"`` the counts have no effect. ``control="random"`` moves each row as far along a random
    direction. There is no optimizer of this strategy in :mod:`flatrec.optim`, where users and items are not seen.

    Args:
        bound: the smallest radius of a row relative to that of the most frequent one (the paper's xi).

    Example:
        >>> Helen(rho=0.05, bound=0.3).bound
        0.3

    Raises:
        ValueError: a setting is out of range.
    """

    bound: Fraction = 0.3
    _counts: Vector = buffer()

    def on_first_pass(self, first: FirstPass[BatchT]) -> None:
        """Count the rows of the batch.

        Raises:
            ValueError: the context knows no users and items.
        """
        self._counts = row_counts(first, type(self).__name__)

    def perturbation(self, point: Point) -> Perturbation:
        """Along the gradient, each row as far as its count says.

        Raises:
            ValueError: the rows have not been counted.
        """
        if not self._counts:
            raise no_rows(type(self).__name__)
        (grad,) = point.grad
        tables = grad.split([len(counts) for counts in self._counts])
        direction = [torch.cat([self._scaled(*pair) for pair in zip(tables, self._counts, strict=True)])]
        length = norm(direction)
        return Perturbation(direction, (length > 0).to(length), length, by_rows=True)

    def _scaled(self, grad: Tensor, counts: Tensor) -> Tensor:
        exact = counts.to(grad.dtype)  # the quotient of whole numbers would be float32
        radii = (exact / exact.max().clamp_min(1)).clamp_min(self.bound)
        size = torch.linalg.vector_norm(grad)
        return grad * (radii / torch.where(size > 0, size, 1))[:, None]
