"""Diffusion over rows of interactions: a schedule of noise, and a network that takes the noise out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from flatrec.models.auxiliary import AuxiliaryWeights
from flatrec.ops.matmul import linear
from flatrec.ops.normalize import l2_normalize

LARGEST_BETA, FIRST_BETA = 0.999, 1e-4


class NoiseSchedule(nn.Module):
    """How much of a row is left after each of S steps, and how to go one step back.

    With v_0..v_(S-1) equally spaced from scale * lowest to scale * highest, the noise of step t has the variance
    b_t = min(1 - (1 - v_t) / (1 - v_(t-1)), 0.999), b_0 = 1e-4; a_t is the product of 1 - b_s up to t, and a_(-1) = 1:

        noisy row of step t = sqrt(a_t) row + sqrt(1 - a_t) noise
        row of step t - 1, on average = forward_t (row as predicted) + stay_t (row of step t)
        forward_t = b_t sqrt(a_(t-1)) / (1 - a_t), stay_t = (1 - a_(t-1)) sqrt(1 - b_t) / (1 - a_t)

    ``weights`` are those of the squared errors: 1 for t = 0, then SNR_(t-1) - SNR_t with SNR_t = a_t / (1 - a_t).
    """

    left: Float[Tensor, "n_steps"]
    forward_factor: Float[Tensor, "n_steps"]
    stay_factor: Float[Tensor, "n_steps"]
    weights: Float[Tensor, "n_steps"]

    def __init__(self, n_steps: int, *, scale: float, lowest: float, highest: float) -> None:
        super().__init__()
        variances = np.linspace(scale * lowest, scale * highest, n_steps)
        betas = np.minimum(1 - (1 - variances[1:]) / (1 - variances[:-1]), LARGEST_BETA)
        betas = np.concatenate([[FIRST_BETA], betas])
        left = np.cumprod(1 - betas)
        before = np.concatenate([[1.0], left[:-1]])
        ratios = left / (1 - left)
        values = {
            "left": left,
            "forward_factor": betas * np.sqrt(before) / (1 - left),
            "stay_factor": (1 - before) * np.sqrt(1 - betas) / (1 - left),
            "weights": np.concatenate([[1.0], ratios[:-1] - ratios[1:]]),
        }
        for name, value in values.items():
            self.register_buffer(name, torch.from_numpy(value).float(), persistent=False)

    def __len__(self) -> int:
        return len(self.left)

    def noisy(
        self, rows: Float[Tensor, "batch n_items"], steps: Int64[Tensor, "batch"], noise: Float[Tensor, "batch n_items"]
    ) -> Float[Tensor, "batch n_items"]:
        """Return the rows after some steps."""
        left = self.left[steps][:, None]
        return left.sqrt() * rows + (1 - left).sqrt() * noise


class Denoiser(nn.Module):
    """A network from a noisy row of interactions and the number of its step to the row without noise.

    Its weights are no parameters of the model; see :class:`flatrec.models.auxiliary.AuxiliaryWeights`. With widths
    h_1..h_k it maps the row and the encoded step to h_k, and on to h_1, then back to h_k and to the items, with tanh
    after every map but the last. O(n_items * h) memory, three times for the optimizer's state.

    Args:
        n_items: number of items.
        hidden_dims: h_1..h_k.
        time_dim: width of an encoded step.
        unit_rows: whether rows are brought to length 1 first.
        lr: learning rate.
    """

    def __init__(self, n_items: int, hidden_dims: Sequence[int], time_dim: int, *, unit_rows: bool, lr: float) -> None:
        super().__init__()
        self.time_dim, self.unit_rows = time_dim, unit_rows
        down = [n_items + time_dim, *reversed(hidden_dims)]
        up = [*hidden_dims, n_items]
        self.n_down, self.n_up = len(down) - 1, len(up) - 1
        initial = _initial("time", time_dim, time_dim)
        for number, (inputs, outputs) in enumerate(pairwise(down)):
            initial |= _initial(f"down{number}", inputs, outputs)
        for number, (inputs, outputs) in enumerate(pairwise(up)):
            initial |= _initial(f"up{number}", inputs, outputs)
        # Apart, so that each matrix has one row or column per item, or none.
        rows, step = initial.pop("down0_weight").split([n_items, time_dim], dim=1)
        initial |= {"down0_rows": rows.clone(), "down0_step": step.clone()}
        self.weights = AuxiliaryWeights(initial, lr=lr)

    def forward(
        self,
        rows: Float[Tensor, "batch n_items"],
        steps: Int64[Tensor, "batch"],
        weights: Mapping[str, Tensor] | None = None,
        mask: Float[Tensor, "batch n_items"] | None = None,
    ) -> Float[Tensor, "batch n_items"]:
        """Return the rows without noise.

        Args:
            rows: noisy rows.
            steps: the step of each.
            weights: other weights than those that are there.
            mask: factor of each entry of a row.
        """
        weights = self.weights() if weights is None else weights
        rows = l2_normalize(rows) if self.unit_rows else rows
        rows = rows if mask is None else rows * mask
        step = _affine(weights, "time", encoded_steps(steps, self.time_dim).to(rows.dtype))
        hidden = (
            linear(rows, weights["down0_rows"]) + linear(step, weights["down0_step"], weights["down0_bias"])
        ).tanh()
        for number in range(1, self.n_down):
            hidden = _affine(weights, f"down{number}", hidden).tanh()
        for number in range(self.n_up - 1):
            hidden = _affine(weights, f"up{number}", hidden).tanh()
        return _affine(weights, f"up{self.n_up - 1}", hidden)


def denoising_loss(
    predicted: Float[Tensor, "batch n_items"],
    rows: Float[Tensor, "batch n_items"],
    weights: Float[Tensor, "batch"],
    signals: tuple[Float[Tensor, "n_items dim"], Float[Tensor, "n_items dim"]],
) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
    """Return for each row the weighted squared error, and that of what the row says of a modality.

    Args:
        predicted: rows without noise as predicted.
        rows: rows without noise.
        weights: of the first error.
        signals: the items of a modality, which predicted rows add up, and the items' ids, which the true ones do.
    """
    errors = weights * (rows - predicted).square().mean(dim=1)
    modality, ids = signals
    gaps = linear(predicted, modality.T) - linear(rows, ids.T)
    return errors, gaps.square().mean(dim=1)


@torch.no_grad()
def denoised(
    denoiser: Denoiser, schedule: NoiseSchedule, rows: Float[Tensor, "batch n_items"]
) -> Float[Tensor, "batch n_items"]:
    """Return what is left of rows when all steps are taken back, without adding noise."""
    for step in reversed(range(len(schedule))):
        predicted = denoiser(rows, torch.full((len(rows),), step, device=rows.device))
        rows = schedule.forward_factor[step] * predicted + schedule.stay_factor[step] * rows
    return rows


def encoded_steps(steps: Int64[Tensor, "batch"], time_dim: int) -> Float[Tensor, "batch time_dim"]:
    """Return cosines, then sines, of a step at frequencies from 1 down; a zero behind them if the width is odd."""
    half = time_dim // 2
    frequencies = 10_000.0 ** -(torch.arange(half, device=steps.device) / max(half, 1))
    angles = steps[:, None] * frequencies
    return F.pad(torch.cat([angles.cos(), angles.sin()], dim=1), (0, time_dim % 2))


def _affine(weights: Mapping[str, Tensor], name: str, rows: Tensor) -> Tensor:
    return linear(rows, weights[f"{name}_weight"], weights[f"{name}_bias"])


def _initial(name: str, inputs: int, outputs: int) -> dict[str, Tensor]:
    spread = (2 / (inputs + outputs)) ** 0.5
    return {f"{name}_weight": spread * torch.randn(outputs, inputs), f"{name}_bias": 0.001 * torch.randn(outputs)}
