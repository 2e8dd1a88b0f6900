"""SSAM: SAM that perturbs a part of the entries only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector, times
from flatrec.strategies.base import Perturbation, SAMStrategy, euclidean_perturbation
from flatrec.strategies.state import remembered_vector, zeros_like_if_empty
from flatrec.utils import seeding


@dataclass(kw_only=True, eq=False)
class SSAM(SAMStrategy):
    """Sparse SAM (Mi et al., NeurIPS 2022, https://arxiv.org/abs/2210.05177).

    eps = rho (m g) / ||m g||_2 with a mask m of zeros and ones, entry by entry over all parameters at once; then a base
    step with the full gradient at Theta + eps. m leaves out floor(sparsity n) of the n entries; it is made again at the
    first of every ``refresh`` steps, before the perturbation:

    - ``"fisher"`` (SSAM-F): the entries with the largest g^2, the diagonal of the Fisher information;
    - ``"dynamic"`` (SSAM-D): at first at random; later the share ``drop`` of the entries in it that have the smallest
      |g| makes room for as many that were outside, drawn at random.

    sparsity = 0 is SAM. Entries of parameters that come later are left out until the next refresh.

    Deviations: paper and release take ||g||_2 and mask afterward, so that eps is shorter than rho; here its length is
    rho. The gradient of the batch at hand stands for those of a thousand single samples that the release sums the
    squares of; where a batch reaches few rows of a table, that favors these rows, and a small ``refresh`` helps. The
    release renews the mask every few epochs, after its perturbation, and lets ``drop`` fall to 0 with the cosine of
    the epochs over the whole run, whose length a strategy does not know: here it is constant. The draws depend on the
    seed and the step alone.

    Args:
        sparsity: share of the entries that are left unperturbed, in [0, 1).
        mask: how the others are chosen.
        refresh: steps from one mask to the next, at least 1. A refresh costs a partial sort of all entries and some
            times their memory.
        drop: share of the mask that a refresh replaces, in [0, 1]; of no account for ``"fisher"``.

    Example:
        >>> SSAM(rho=0.1, sparsity=0.8, mask="dynamic").sparsity
        0.8

    Raises:
        ValueError: a setting is out of range.
    """

    sparsity: float = 0.5
    mask: Literal["fisher", "dynamic"] = "fisher"
    refresh: int = 100
    drop: float = 0.5
    active: Vector = remembered_vector(dtype=torch.bool)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.sparsity < 1:
            raise ValueError(f"sparsity must lie in [0, 1), but is {self.sparsity}")
        if self.mask not in ("fisher", "dynamic"):
            raise ValueError(f"mask must be fisher or dynamic, but is {self.mask!r}")
        if self.refresh < 1:
            raise ValueError(f"refresh must be at least 1, but is {self.refresh}")
        if not 0 <= self.drop <= 1:
            raise ValueError(f"drop must lie in [0, 1], but is {self.drop}")

    def perturbation(self, values: Vector, gradient: Vector) -> Perturbation:  # noqa: ARG002
        """Along the gradient within the mask, which is made again first where it is time."""
        self.active = zeros_like_if_empty(self.active, [torch.empty_like(part, dtype=torch.bool) for part in gradient])
        if self.steps % self.refresh == 0:
            self.active = self._renewed(gradient)
        return euclidean_perturbation(times(gradient, self.active))

    def combine(self, here: Vector, there: Vector) -> Vector:  # noqa: ARG002
        """The gradient there."""
        return there

    def _renewed(self, gradient: Vector) -> list[Tensor]:
        """The next mask, each part with memory of its own, as files of tensors want it."""
        slopes = _flat(gradient).abs_()
        count = max(1, len(slopes) - int(self.sparsity * len(slopes)))
        chosen = _largest(slopes, count) if self.mask == "fisher" else self._replaced(slopes, count)
        parts = chosen.split([part.numel() for part in gradient])
        return [part.view_as(like).clone() for part, like in zip(parts, gradient, strict=True)]

    def _replaced(self, slopes: Tensor, count: int) -> Tensor:
        """The mask without its weakest entries and with some from outside; all are from outside where it is empty."""
        active = _flat(self.active)
        inside, outside = active.nonzero().flatten(), active.logical_not().nonzero().flatten()
        n_dropped = min(int(self.drop * len(inside)), len(slopes) - count)
        n_dropped = max(n_dropped, len(inside) - count)  # more are inside where parameters that had few in it left
        dropped = slopes[inside].topk(n_dropped, largest=False, sorted=False).indices
        drawn = torch.randperm(len(outside), generator=seeding.generator(self.seed, "sparse sam", self.steps))
        drawn = drawn[: count - len(inside) + n_dropped].to(outside.device)
        active[inside[dropped]] = False
        active[outside[drawn]] = True
        return active


def _flat(vector: Vector) -> Tensor:
    """A copy as one tensor."""
    return torch.cat([part.flatten() for part in vector])


def _largest(values: Tensor, count: int) -> Tensor:
    """True at exactly that many of the largest values."""
    chosen = torch.zeros_like(values, dtype=torch.bool)
    chosen[values.topk(count, sorted=False).indices] = True
    return chosen
