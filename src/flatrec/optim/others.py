"""The optimizers of another shape: LookSAM, Mirror Gradient, and the mix of two batches."""

from __future__ import annotations

from torch import nn
from torch.optim import Optimizer

from flatrec import strategies
from flatrec.optim.settings import checked
from flatrec.optim.wrapper import StrategyOptimizer
from flatrec.strategies.base import SingleBatchStrategy


class LookSAM(StrategyOptimizer):
    """SAM at every k-th step, and what it found reused in between.

    Equations, source and deviations: :class:`flatrec.strategies.LookSAM`.

    Args:
        optimizer: the torch optimizer that makes the step.
        rho: the radius, at least 0.
        alpha: weight of what is reused, at least 0.
        every: steps from one look to the next, at least 1.
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
        every: int = 5,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.LookSAM(rho=rho, alpha=alpha, every=every)
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)


class MirrorGradient(StrategyOptimizer):
    """Mirror Gradient: now and then a step forward is followed by a step back.

    Equations, source and deviations: :class:`flatrec.strategies.MirrorGradient`.

    Args:
        optimizer: the torch optimizer that makes the step.
        alpha1: factor of the step forward.
        alpha2: factor of the step back.
        beta: batches between two such pairs of steps, at least 1.
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
        alpha1: float = 1.0,
        alpha2: float = 0.2,
        beta: int = 3,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        strategy = strategies.MirrorGradient(alpha1=alpha1, alpha2=alpha2, beta=beta)
        super().__init__(optimizer, strategy, same_dropout_mask=same_dropout_mask, model=model)


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
        >>> from flatrec.optim import SAM
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

    @checked
    def __init__(self, inner: StrategyOptimizer, *, kappa: float = 0.6) -> None:
        if not isinstance(inner, StrategyOptimizer) or not isinstance(inner.strategy, SingleBatchStrategy):
            raise TypeError(
                f"Mixed wraps an optimizer of flatrec.optim that ends in a gradient, such as BSAM(...), but got a "
                f"{type(inner).__name__}"
            )
        mixed = strategies.Mixed(inner.strategy, kappa=kappa)
        super().__init__(inner.base, mixed, same_dropout_mask=inner.same_dropout_mask, model=inner.model)
