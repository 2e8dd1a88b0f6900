"""The settings of each strategy, as keyword arguments; defaults are the strategies'."""

from __future__ import annotations

from typing import Literal

from torch import nn
from typing_extensions import TypedDict

from flatrec.strategies.bsam import Distance


class LoopSettings(TypedDict, total=False):
    """What all optimizers here have; see :class:`flatrec.optim.StrategyOptimizer`."""

    same_noise: bool
    model: nn.Module | None


class PerturbingSettings(LoopSettings, total=False):
    """What all strategies that perturb have; see :class:`flatrec.strategies.Perturbing`."""

    rho: float
    rho_schedule: Literal["constant", "inverse"]
    rho_scale: Literal["absolute", "relative"]
    interval: int


class ASAMSettings(PerturbingSettings, total=False):
    """Those of ASAM."""

    eta: float


class FisherSAMSettings(PerturbingSettings, total=False):
    """Those of FisherSAM."""

    eta: float


class FriendlySAMSettings(PerturbingSettings, total=False):
    """Those of Friendly SAM."""

    sigma: float
    lam: float


class BSAMSettings(PerturbingSettings, total=False):
    """Those of BSAM."""

    lam: float
    distance: Distance


class SSAMSettings(PerturbingSettings, total=False):
    """Those of SSAM."""

    sparsity: float
    mask: Literal["fisher", "dynamic"]
    refresh: int
    drop: float


class ESAMSettings(PerturbingSettings, total=False):
    """Those of ESAM."""

    beta: float


class VaSSOSettings(PerturbingSettings, total=False):
    """Those of VaSSO."""

    theta: float


class GSAMSettings(PerturbingSettings, total=False):
    """Those of GSAM."""

    alpha: float


class GNPSettings(PerturbingSettings, total=False):
    """Those of the gradient-norm penalty."""

    alpha: float


class LookSAMSettings(LoopSettings, total=False):
    """Those of LookSAM."""

    rho: float
    alpha: float
    every: int


class MirrorGradientSettings(LoopSettings, total=False):
    """Those of Mirror Gradient."""

    alpha1: float
    alpha2: float
    beta: int
