"""Sharpness-aware optimizers for any PyTorch loop: the strategies of this package around any torch optimizer.

    from flatrec.optim import BSAM, Mixed

    optimizer = BSAM(torch.optim.Adam(model.parameters(), lr=1e-3), rho=0.1, lam=0.6)
    optimizer.step(closure)

    optimizer = Mixed(BSAM(torch.optim.AdamW(model.parameters()), rho=0.1), kappa=0.6)
    optimizer.step(closure, other_closure)

    optimizer = SAM(torch.optim.SGD(model.parameters(), lr=0.1), rho=0.05)  # or without closures
    loss_of(batch).backward(); optimizer.first_step()
    loss_of(batch).backward(); optimizer.second_step()

Needs torch alone. BSAM is batch-focused SAM here, not Bayesian SAM; FriendlySAM is F-SAM, FisherSAM is Fisher SAM.
"""

from __future__ import annotations

from flatrec.optim.closures import Closure
from flatrec.optim.others import LookSAM, MirrorGradient, Mixed
from flatrec.optim.perturbing import ASAM, GSAM, SAM, FisherSAM, GradientNormPenalty
from flatrec.optim.remembering import BSAM, ESAM, SSAM, FriendlySAM, VaSSO
from flatrec.optim.wrapper import StrategyOptimizer
from flatrec.strategies.context import NonFiniteGradientError

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
