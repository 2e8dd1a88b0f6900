"""Sharpness-aware optimizers for any PyTorch loop: the strategies of this package around any torch optimizer.

    from flatrec.optim import BSAM, Mixed

    optimizer = BSAM(torch.optim.Adam(model.parameters(), lr=1e-3), rho=0.1, lam=0.6)
    optimizer.step(closure)

    optimizer = Mixed(BSAM(torch.optim.AdamW(model.parameters()), rho=0.1), kappa=0.6)
    optimizer.step(closure, other_closure)

Needs torch alone. BSAM is batch-focused SAM here, not Bayesian SAM; FriendlySAM is F-SAM, FisherSAM is Fisher SAM.
"""

from __future__ import annotations

from functools import partial

from torch.optim import Optimizer
from typing_extensions import Unpack

from flatrec import strategies
from flatrec.optim.closures import Closure
from flatrec.optim.settings import (
    ASAMSettings,
    BSAMSettings,
    ESAMSettings,
    FisherSAMSettings,
    FriendlySAMSettings,
    GNPSettings,
    GSAMSettings,
    LookSAMSettings,
    MirrorGradientSettings,
    PerturbingSettings,
    SSAMSettings,
    VaSSOSettings,
)
from flatrec.optim.wrapper import StrategyOptimizer
from flatrec.strategies.base import OneBatch
from flatrec.strategies.learning import NonFiniteGradientError

__all__ = [
    "ASAM",
    "BSAM",
    "ESAM",
    "GSAM",
    "SAM",
    "SSAM",
    "Closure",
    "FisherSAM",
    "FriendlySAM",
    "GradientNormPenalty",
    "LookSAM",
    "MirrorGradient",
    "Mixed",
    "NonFiniteGradientError",
    "StrategyOptimizer",
    "VaSSO",
]


class SAM(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.SAM`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[PerturbingSettings]) -> None:
        super().__init__(optimizer, strategies.SAM, **settings)


class ASAM(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.ASAM`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[ASAMSettings]) -> None:
        super().__init__(optimizer, strategies.ASAM, **settings)


class FisherSAM(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.FisherSAM`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[FisherSAMSettings]) -> None:
        super().__init__(optimizer, strategies.FisherSAM, **settings)


class FriendlySAM(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.FriendlySAM`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[FriendlySAMSettings]) -> None:
        super().__init__(optimizer, strategies.FriendlySAM, **settings)


class BSAM(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.BSAM`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[BSAMSettings]) -> None:
        super().__init__(optimizer, strategies.BSAM, **settings)


class SSAM(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.SSAM`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[SSAMSettings]) -> None:
        super().__init__(optimizer, strategies.SSAM, **settings)


class ESAM(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.ESAM`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[ESAMSettings]) -> None:
        super().__init__(optimizer, strategies.ESAM, **settings)


class VaSSO(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.VaSSO`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[VaSSOSettings]) -> None:
        super().__init__(optimizer, strategies.VaSSO, **settings)


class GSAM(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.GSAM`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[GSAMSettings]) -> None:
        super().__init__(optimizer, strategies.GSAM, **settings)


class GradientNormPenalty(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.GradientNormPenalty`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[GNPSettings]) -> None:
        super().__init__(optimizer, strategies.GradientNormPenalty, **settings)


class LookSAM(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.LookSAM`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[LookSAMSettings]) -> None:
        super().__init__(optimizer, strategies.LookSAM, **settings)


class MirrorGradient(StrategyOptimizer):
    """Around a torch optimizer; settings, defaults and source: :class:`flatrec.strategies.MirrorGradient`."""

    def __init__(self, optimizer: Optimizer, **settings: Unpack[MirrorGradientSettings]) -> None:
        super().__init__(optimizer, strategies.MirrorGradient, **settings)


class Mixed(StrategyOptimizer):
    """The "+": another optimizer's gradient mixed with the plain gradient of a second batch.

    The base optimizer gets kappa times what ``inner`` makes of the first closure and 1 - kappa times the gradient of
    the second. ``step`` takes both closures; the inner optimizer is used up and must not step on its own.

    Args:
        inner: any optimizer of this module but MirrorGradient.
        kappa: weight of its gradient, in [0, 1].

    Raises:
        TypeError: ``inner`` is something else.
        ValueError: kappa is out of range.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(3, 1)
        >>> optimizer = Mixed(SAM(torch.optim.Adam(model.parameters()), rho=0.1), kappa=0.6)
        >>> def loss_of(inputs):
        ...     def closure():
        ...         optimizer.zero_grad()
        ...         loss = model(inputs).square().mean()
        ...         loss.backward()
        ...         return loss
        ...     return closure
        >>> loss = optimizer.step(loss_of(torch.ones(2, 3)), loss_of(torch.zeros(2, 3)))
    """

    def __init__(self, inner: StrategyOptimizer, *, kappa: float = 0.6) -> None:
        if not isinstance(inner, StrategyOptimizer) or not isinstance(inner.strategy, OneBatch):
            raise TypeError(
                f"Mixed wraps an optimizer of flatrec.optim that ends in a gradient, such as BSAM(...), but got a "
                f"{type(inner).__name__}"
            )
        mixed = partial(strategies.Mixed, inner.strategy, kappa=kappa)
        super().__init__(inner.base, mixed, same_noise=inner.same_noise, model=inner.model)
