"""SSAM: SAM that perturbs only some of the entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from flatrec.ops.param_vector import Vector, times
from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy, euclidean_perturbation
from flatrec.strategies.state import state_vector, zeros_like_if_empty
from flatrec.utils import seeding
from flatrec.utils.ranges import DropoutRate, Fraction, PositiveInt


@dataclass(kw_only=True, eq=False)
class SSAM(SAMStrategy):
    """Sparse SAM (Mi et al., NeurIPS 2022, https://arxiv.org/abs/2210.05177).

    eps = rho (m g) / ||m g||_2 with a mask m of zeros and ones, entry by entry over all parameters at once; then a base
    step with the full gradient at Theta + eps. m leaves out floor(sparsity n) of the n entries; it is chosen again at
    the first of every ``refresh`` steps, before the perturbation:

    - ``"fisher"`` (SSAM-F): the entries with the largest g^2, the diagonal of the Fisher information;
    - ``"dynamic"`` (SSAM-D): at first at random; later the fraction ``drop`` of its entries, those with the smallest
      |g|, is replaced by as many that were outside, drawn at random.

    sparsity = 0 is SAM. Entries of parameters that come later are left out until the next refresh.

    Deviations: paper and release take ||g||_2 and mask afterward, so that eps is shorter than rho; here its length is
    rho. The gradient of the current batch stands for those of a thousand single samples that the release sums the
    squares of; where a batch reaches few rows of a table, that favors these rows, and a small ``refresh`` helps. The
    release replaces the mask every few epochs, after its perturbation, and lets ``drop`` fall to 0 with the cosine of
    the epochs over the whole run, whose length a strategy does not know: here it is constant. The draws depend on the
    seed and the step alone.

    Args:
        sparsity: fraction of the entries that are not perturbed.
        mask: how the perturbed entries are chosen: by Fisher information, or dynamically.
        refresh: number of steps that one mask is used for. A refresh costs a partial sort of all entries and several
            times their memory.
        drop: fraction of the mask that a refresh replaces; ignored for ``"fisher"``.

    Example:
        >>> SSAM(rho=0.1, sparsity=0.8, mask="dynamic").sparsity
        0.8

    Raises:
        ValueError: a setting is out of range.
    """

    draws_random_numbers: ClassVar[bool] = True

    sparsity: DropoutRate = 0.5
    mask: Literal["fisher", "dynamic"] = "fisher"
    refresh: PositiveInt = 100
    drop: Fraction = 0.5
    active: Vector = state_vector(dtype=torch.bool)

    def perturbation(self, point: Point) -> Perturbation:
        """Along the gradient within the mask, which is refreshed first if it is due."""
        grad = point.grad
        self.active = zeros_like_if_empty(self.active, [torch.empty_like(tensor, dtype=torch.bool) for tensor in grad])
        if self.steps % self.refresh == 0:
            self.active = self._refreshed(grad)
        return euclidean_perturbation(times(grad, self.active))

    def _refreshed(self, grad: Vector) -> list[Tensor]:
        """Return the next mask; each tensor has memory of its own, as safetensors files need it."""
        slopes = _flat(grad).abs_()
        count = max(1, len(slopes) - int(self.sparsity * len(slopes)))
        chosen = _largest(slopes, count) if self.mask == "fisher" else self._replaced(slopes, count)
        flat_masks = chosen.split([tensor.numel() for tensor in grad])
        return [mask.view_as(like).clone() for mask, like in zip(flat_masks, grad, strict=True)]

    def _replaced(self, slopes: Tensor, count: int) -> Tensor:
        """Return the mask with its flattest entries replaced by others; all entries are drawn if it is empty."""
        active = _flat(self.active)
        inside, outside = active.nonzero().flatten(), active.logical_not().nonzero().flatten()
        n_dropped = min(int(self.drop * len(inside)), len(slopes) - count)
        # More than count entries are inside if parameters with few entries in the mask left.
        n_dropped = max(n_dropped, len(inside) - count)
        dropped = slopes[inside].topk(n_dropped, largest=False, sorted=False).indices
        drawn = torch.randperm(len(outside), generator=seeding.generator(self.seed, "sparse sam", self.steps))
        drawn = drawn[: count - len(inside) + n_dropped].to(outside.device)
        active[inside[dropped]] = False
        active[outside[drawn]] = True
        return active


def _flat(vector: Vector) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in vector])


def _largest(values: Tensor, count: int) -> Tensor:
    chosen = torch.zeros_like(values, dtype=torch.bool)
    chosen[values.topk(count, sorted=False).indices] = True
    return chosen
