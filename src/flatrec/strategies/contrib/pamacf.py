"""PamaCF: adversarial training whose radius follows the norm of the user."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector, norm, plus_scaled
from flatrec.ops.row_norms import row_directions
from flatrec.strategies.base import FirstPass, Gradients
from flatrec.strategies.batch_rows import BatchRows, batch_rows, mean_by_row, no_rows
from flatrec.strategies.context import BatchT
from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy
from flatrec.utils.ranges import NonNegativeFloat

LARGEST_SCALE = 2.0  # of the radius of a user; one of average norm has 1


@dataclass(kw_only=True, eq=False)
class PamaCF(SAMStrategy):
    """Personalized magnitude adversarial collaborative filtering (Zhang et al., NeurIPS 2024, https://arxiv.org/abs/2410.22844).

    With h the final embeddings, u the user of an interaction, w_u = ||h_u||^2 and mean(w) its mean over the
    interactions of the batch:

        rho_u = rho * 2 * sigmoid(w_u / mean(w) - 1)
        eps_r = rho_r * g_r / ||g_r||  for the rows r of users, positives and negatives, g the gradient of the batch

    and the base optimizer gets the gradient of L(h) + lam * L(h + eps), eps constant. Users of equal norm all have the
    radius rho, as in adversarial personalized ranking (APR, He et al., SIGIR 2018); no user has more than 2 rho.

    These are the formulas of the release (its ``eps`` is rho, its ``adv_reg`` is lam). Deviations:

    - A row is one variable for the whole batch, so that every model and loss can be perturbed. In the release each
      interaction moves copies of its own of the three rows. A row that several interactions read moves once here, along
      the sum of their gradients; the radius of an item is the mean of those of the users it is read with. Where no row
      is read twice, the two are the same.
    - The release's ``user_lmb`` is fixed at its default of 2: its product with ``eps`` alone has an effect.
    - The release begins after five epochs, which is ``start_epoch=5``; the default is 0, as for all strategies here.
      Its rows begin with norms of about 0.8, and its rho is 0.3 to 0.9; rows here begin with norms of some hundredths,
      so that the default is 0.01. A rho above the norms at the beginning keeps a model from learning; start it late.
    - ``rho = 0`` takes the gradient of L alone; the formula has 1 + lam times that.
    - Penalties on rows before propagation are counted in both losses, where the release's L2 counts once.

    With ``rho_scale="row"`` a row moves by rho times its own norm, and the norm of the user has no other effect.
    ``control="random"`` moves each row as far along a random direction. There is no optimizer of this strategy in
    :mod:`flatrec.optim`, where users and items are not seen.

    Args:
        lam: lambda, the weight of the loss at the perturbed point.

    Example:
        >>> PamaCF(rho=0.5, lam=1.0, start_epoch=5.0).lam
        1.0

    Raises:
        ValueError: a setting is out of range.
    """

    SEARCH_SPACE = {"rho": (0.01, 0.03, 0.1, 0.3)}

    rho: NonNegativeFloat = 0.01
    lam: NonNegativeFloat = 1.0
    _rows: BatchRows | None = field(default=None, init=False, repr=False)

    def on_first_pass(self, first: FirstPass[BatchT]) -> None:
        """Look up the rows of the batch.

        Raises:
            ValueError: the context knows no users and items.
        """
        self._rows = batch_rows(first, type(self).__name__)

    def perturbation(self, point: Point) -> Perturbation:
        """Along the gradient of each row, as far as the norm of the user says.

        Raises:
            ValueError: the rows of the batch are not known.
        """
        if self._rows is None:
            raise no_rows(type(self).__name__)
        (table,) = point.params
        radii = mean_by_row(user_scales(table[self._rows.users]), self._rows, len(table))
        direction = row_directions(point.grad, [radii[:, None]])
        length = norm(direction)
        return Perturbation(direction, (length > 0).to(length), length, by_rows=True)

    def combine(self, gradients: Gradients) -> Vector:
        """The gradient of the loss plus lambda times that of the loss at the perturbed point."""
        grad, perturbed_grad = gradients
        return plus_scaled(grad, perturbed_grad, self.lam)


def user_scales(users: Tensor) -> Tensor:
    """The radius of each interaction relative to rho, by the squared norms of its users' rows."""
    squares = users.square().sum(dim=1)
    return LARGEST_SCALE * torch.sigmoid(squares / squares.mean().clamp_min(torch.finfo(squares.dtype).tiny) - 1)
