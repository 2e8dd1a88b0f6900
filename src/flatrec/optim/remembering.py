"""The optimizers that perturb along a running mean, against one, or a part of the entries only."""

from __future__ import annotations

from typing import Literal

from torch import nn
from torch.optim import Optimizer

from flatrec import strategies
from flatrec.optim.settings import checked
from flatrec.optim.wrapper import StrategyOptimizer
from flatrec.strategies.bsam import Distance


class BSAM(StrategyOptimizer):
    """Batch-focused SAM: ascends along the gradient, held back along its running mean; not Bayesian SAM.

    Equations, source and deviations: :class:`flatrec.strategies.BSAM`.

    Args:
        optimizer: the torch optimizer that makes the step.
        rho: the radius, at least 0.
        lam: weight of the past in the mean, in [0, 1).
        distance: how much of the mean is taken off: ``manhattan``, ``manhattan-mean``, ``euclidean``, ``cosine`` or a
            number.
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
        lam: float = 0.6,
        distance: Distance = "manhattan",
        rho_schedule: Literal["constant", "inverse"] = "constant",
        rho_scale: Literal["absolute", "relative"] = "absolute",
        interval: int = 1,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.BSAM(
            rho=rho, lam=lam, distance=distance, rho_schedule=rho_schedule, rho_scale=rho_scale, interval=interval
        )
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)


class FriendlySAM(StrategyOptimizer):
    """Friendly SAM (F-SAM): ascends along the gradient less a share of its running mean.

    Equations, source and deviations: :class:`flatrec.strategies.FriendlySAM`.

    Args:
        optimizer: the torch optimizer that makes the step.
        rho: the radius, at least 0.
        sigma: how much of the mean is taken off.
        lam: weight of the past in the mean, in [0, 1).
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
        sigma: float = 1.0,
        lam: float = 0.9,
        rho_schedule: Literal["constant", "inverse"] = "constant",
        rho_scale: Literal["absolute", "relative"] = "absolute",
        interval: int = 1,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.FriendlySAM(
            rho=rho, sigma=sigma, lam=lam, rho_schedule=rho_schedule, rho_scale=rho_scale, interval=interval
        )
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)


class VaSSO(StrategyOptimizer):
    """Variance-suppressed SAM: ascends along the running mean of gradients.

    Equations, source and deviations: :class:`flatrec.strategies.VaSSO`.

    Args:
        optimizer: the torch optimizer that makes the step.
        rho: the radius, at least 0.
        theta: weight of the batch in the mean, in (0, 1].
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
        theta: float = 0.4,
        rho_schedule: Literal["constant", "inverse"] = "constant",
        rho_scale: Literal["absolute", "relative"] = "absolute",
        interval: int = 1,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.VaSSO(
            rho=rho, theta=theta, rho_schedule=rho_schedule, rho_scale=rho_scale, interval=interval
        )
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)


class SSAM(StrategyOptimizer):
    """Sparse SAM: perturbs the entries of a mask only, renewed now and then.

    Equations, source and deviations: :class:`flatrec.strategies.SSAM`.

    Args:
        optimizer: the torch optimizer that makes the step.
        rho: the radius, at least 0.
        sparsity: share of the entries that are left unperturbed, in [0, 1).
        mask: the steepest entries (``fisher``), or drawn ones that are replaced bit by bit (``dynamic``).
        refresh: steps from one mask to the next, at least 1.
        drop: share of a dynamic mask that a refresh replaces, in [0, 1].
        seed: of what is drawn.
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
        sparsity: float = 0.5,
        mask: Literal["fisher", "dynamic"] = "fisher",
        refresh: int = 100,
        drop: float = 0.5,
        rho_schedule: Literal["constant", "inverse"] = "constant",
        rho_scale: Literal["absolute", "relative"] = "absolute",
        interval: int = 1,
        seed: int = 0,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.SSAM(
            rho=rho,
            sparsity=sparsity,
            mask=mask,
            refresh=refresh,
            drop=drop,
            rho_schedule=rho_schedule,
            rho_scale=rho_scale,
            interval=interval,
        )
        strategy.reset(seed)
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)


class ESAM(StrategyOptimizer):
    """Efficient SAM: perturbs entries that are drawn at every step.

    Equations, source and deviations: :class:`flatrec.strategies.ESAM`.

    Args:
        optimizer: the torch optimizer that makes the step.
        rho: the radius, at least 0.
        beta: probability that an entry is perturbed, in (0, 1].
        seed: of what is drawn.
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
        beta: float = 0.5,
        rho_schedule: Literal["constant", "inverse"] = "constant",
        rho_scale: Literal["absolute", "relative"] = "absolute",
        interval: int = 1,
        seed: int = 0,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.ESAM(
            rho=rho, beta=beta, rho_schedule=rho_schedule, rho_scale=rho_scale, interval=interval
        )
        strategy.reset(seed)
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)
