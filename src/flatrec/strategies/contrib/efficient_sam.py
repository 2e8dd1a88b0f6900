"""ESAM: SAM that perturbs other entries at every step, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from flatrec.ops.param_vector import norm, times
from flatrec.strategies.perturbation import Perturbation, Point, SAMStrategy
from flatrec.utils import seeding
from flatrec.utils.checked_settings import Probability
from flatrec.utils.devices import moved


@dataclass(kw_only=True, eq=False)
class ESAM(SAMStrategy):
    """Efficient SAM (Du et al., ICLR 2022, https://arxiv.org/abs/2110.03141): its stochastic weight perturbation.

    eps = rho (m g) / (beta ||g||_2), each entry of m one with probability beta and zero otherwise, drawn again at every
    step; then a base step with the full gradient at Theta + eps. So the mean of eps over m is the perturbation of SAM,
    and that of ||eps||^2 is rho^2 / beta: rho is the radius in the mean direction, and eps itself is mostly longer.
    beta = 1 is SAM.

    Deviations: the paper's other half, sharpness-sensitive data selection, takes the second gradient over the
    interactions whose loss rises most; it is left out, since a model gives one loss for the batch. The release draws
    whole tensors, not entries, and takes the norm over those drawn, which saves the first gradient of the others; a
    recommender has few tensors, most of the entries in one or two of them, so entries are drawn, as in the paper, and a
    step costs as much as one of SAM. The draws depend on the seed and the step alone.

    Args:
        beta: probability that an entry is perturbed.

    Example:
        >>> ESAM(rho=0.1, beta=0.6).beta
        0.6

    Raises:
        ValueError: a setting is out of range.
    """

    draws_random_numbers: ClassVar[bool] = True

    beta: Probability = 0.5

    def perturbation(self, point: Point) -> Perturbation:
        """Along the drawn entries of the gradient; its length is that of the mean direction."""
        stream = seeding.generator(self.seed, "efficient sam", self.steps)
        drawn = (torch.rand(tensor.shape, generator=stream) < self.beta for tensor in point.grad)
        mask = [moved(one, tensor.device) for one, tensor in zip(drawn, point.grad, strict=True)]
        direction = times(point.grad, mask)
        return Perturbation(direction, self.beta * norm(point.grad), norm(direction))
