"""The optimizers that look for a higher loss along a gradient, at every step or every interval-th."""

from __future__ import annotations

from typing import Literal

from torch import nn
from torch.optim import Optimizer

from flatrec import strategies
from flatrec.optim.settings import checked
from flatrec.optim.wrapper import StrategyOptimizer


class SAM(StrategyOptimizer):
    """Sharpness-aware minimization: descends the gradient at the point of steepest ascent.

    Equations, source and deviations: :class:`flatrec.strategies.SAM`.

    Args:
        optimizer: the torch optimizer that makes the step.
        rho: the radius, at least 0.
        rho_schedule, rho_scale, interval: how the radius goes; see :class:`flatrec.strategies.SAMStrategy`.
        same_dropout_mask, model: see :class:`flatrec.optim.StrategyOptimizer`.

    Raises:
        TypeError: the first argument is no torch optimizer that steps with a dense gradient, or a setting is unknown.
        ValueError: a setting is out of range.
    """

    @checked
    def __init__(
        self,
        optimizer: Optimizer,
        *,
        rho: float = 0.1,
        rho_schedule: Literal["constant", "inverse"] = "constant",
        rho_scale: Literal["absolute", "relative"] = "absolute",
        interval: int = 1,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.SAM(rho=rho, rho_schedule=rho_schedule, rho_scale=rho_scale, interval=interval)
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)


class ASAM(StrategyOptimizer):
    """Adaptive SAM: ascends in a metric that follows the size of each parameter.

    Equations, source and deviations: :class:`flatrec.strategies.ASAM`.

    Args:
        optimizer: the torch optimizer that makes the step.
        rho: the radius, at least 0.
        eta: keeps parameters near zero movable, at least 0.
        rho_schedule, rho_scale, interval: how the radius goes; see :class:`flatrec.strategies.SAMStrategy`.
        same_dropout_mask, model: see :class:`flatrec.optim.StrategyOptimizer`.

    Raises:
        TypeError: the first argument is no torch optimizer that steps with a dense gradient, or a setting is unknown.
        ValueError: a setting is out of range.
    """

    @checked
    def __init__(
        self,
        optimizer: Optimizer,
        *,
        rho: float = 0.1,
        eta: float = 0.01,
        rho_schedule: Literal["constant", "inverse"] = "constant",
        rho_scale: Literal["absolute", "relative"] = "absolute",
        interval: int = 1,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.ASAM(rho=rho, eta=eta, rho_schedule=rho_schedule, rho_scale=rho_scale, interval=interval)
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)


class FisherSAM(StrategyOptimizer):
    """Fisher SAM: ascends in the metric of the Fisher information.

    Equations, source and deviations: :class:`flatrec.strategies.FisherSAM`.

    Args:
        optimizer: the torch optimizer that makes the step.
        rho: the radius, at least 0.
        eta: weight of the Fisher information against the identity, at least 0.
        rho_schedule, rho_scale, interval: how the radius goes; see :class:`flatrec.strategies.SAMStrategy`.
        same_dropout_mask, model: see :class:`flatrec.optim.StrategyOptimizer`.

    Raises:
        TypeError: the first argument is no torch optimizer that steps with a dense gradient, or a setting is unknown.
        ValueError: a setting is out of range.
    """

    @checked
    def __init__(
        self,
        optimizer: Optimizer,
        *,
        rho: float = 0.1,
        eta: float = 1.0,
        rho_schedule: Literal["constant", "inverse"] = "constant",
        rho_scale: Literal["absolute", "relative"] = "absolute",
        interval: int = 1,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.FisherSAM(
            rho=rho, eta=eta, rho_schedule=rho_schedule, rho_scale=rho_scale, interval=interval
        )
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)


class GSAM(StrategyOptimizer):
    """Surrogate-gap guided SAM: lowers the loss there and the gap between there and here.

    Equations, source and deviations: :class:`flatrec.strategies.GSAM`.

    Args:
        optimizer: the torch optimizer that makes the step.
        rho: the radius, at least 0.
        alpha: weight of the gap, at least 0.
        rho_schedule, rho_scale, interval: how the radius goes; see :class:`flatrec.strategies.SAMStrategy`.
        same_dropout_mask, model: see :class:`flatrec.optim.StrategyOptimizer`.

    Raises:
        TypeError: the first argument is no torch optimizer that steps with a dense gradient, or a setting is unknown.
        ValueError: a setting is out of range.
    """

    @checked
    def __init__(
        self,
        optimizer: Optimizer,
        *,
        rho: float = 0.1,
        alpha: float = 0.1,
        rho_schedule: Literal["constant", "inverse"] = "constant",
        rho_scale: Literal["absolute", "relative"] = "absolute",
        interval: int = 1,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.GSAM(
            rho=rho, alpha=alpha, rho_schedule=rho_schedule, rho_scale=rho_scale, interval=interval
        )
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)


class GradientNormPenalty(StrategyOptimizer):
    """The loss plus a penalty on the norm of its gradient.

    Equations, source and deviations: :class:`flatrec.strategies.GradientNormPenalty`.

    Args:
        optimizer: the torch optimizer that makes the step.
        rho: the radius, at least 0.
        alpha: weight of the gradient there, in [0, 1].
        rho_schedule, rho_scale, interval: how the radius goes; see :class:`flatrec.strategies.SAMStrategy`.
        same_dropout_mask, model: see :class:`flatrec.optim.StrategyOptimizer`.

    Raises:
        TypeError: the first argument is no torch optimizer that steps with a dense gradient, or a setting is unknown.
        ValueError: a setting is out of range.
    """

    @checked
    def __init__(
        self,
        optimizer: Optimizer,
        *,
        rho: float = 0.1,
        alpha: float = 0.7,
        rho_schedule: Literal["constant", "inverse"] = "constant",
        rho_scale: Literal["absolute", "relative"] = "absolute",
        interval: int = 1,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.GradientNormPenalty(
            rho=rho, alpha=alpha, rho_schedule=rho_schedule, rho_scale=rho_scale, interval=interval
        )
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)
