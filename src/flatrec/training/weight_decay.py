"""Decoupled weight decay for every base optimizer."""

from __future__ import annotations

import torch
from torch.optim import Optimizer

from flatrec.ops.foreach import foreach


@torch.no_grad()
def decay_weights(optimizer: Optimizer, weight: float) -> None:
    """Multiply every parameter of an optimizer by 1 - lr * weight, with the learning rate of its group as it is now.

    Decoupled weight decay (Loshchilov & Hutter, ICLR 2019, https://arxiv.org/abs/1711.05101), in the form of
    ``torch.optim.AdamW``: the learning rate, schedule included, scales the decay as it scales the step. Before the step
    of the optimizer it gives AdamW of Adam; it does not pass through momentum or second moments. All rows of a
    table shrink in every step, also those that the batch does not have. Nothing happens if the weight is 0.

    Args:
        optimizer: the base optimizer; its own ``weight_decay``, if any, is added to this one.
        weight: lambda, at least 0.
    """
    if weight == 0:
        return
    for group in optimizer.param_groups:
        foreach("mul_", group["params"], 1 - float(group["lr"]) * weight)
