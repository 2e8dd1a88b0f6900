"""The optimizer that mixes the gradient of another one with that of a second batch."""

from __future__ import annotations

from flatrec import strategies
from flatrec.optim.misuse import checked
from flatrec.optim.wrapper import StrategyOptimizer
from flatrec.strategies.base import SingleBatchStrategy


class Mixed(StrategyOptimizer):
    """The "+": another optimizer's gradient mixed with the plain gradient of a second batch.

    The base optimizer gets kappa times the gradient that ``inner`` makes of the first closure, plus 1 - kappa times the
    gradient of the second closure. ``step`` takes both closures; the inner optimizer must not step on its own any more.

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
