"""A torch optimizer that lets a strategy find the gradient for another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from flatrec.optim.closures import Closure, Closures
from flatrec.strategies.base import Perturbing, Strategy
from flatrec.strategies.look_sam import LookSAM
from flatrec.strategies.mixed import Mixed

STRATEGY = "strategy"


class StrategyOptimizer(Optimizer):
    """What all optimizers here share.

    ``param_groups`` and ``state`` are those of the base optimizer, so schedulers, ``zero_grad`` and whatever else looks
    at them work on either. A group may hold ``rho``, its own radius, and ``perturb=False``, which leaves its parameters
    where they are and out of the norm; both may change between steps. A parameter without a gradient in one pass counts
    as having gradient zero there; one without any is left alone.

    Args:
        optimizer: the base optimizer, which makes the step.
        make: the class of the strategy that finds the gradient, or what else makes one.
        settings: for that strategy.
        same_noise: whether dropout draws the same masks in both passes over a batch. Random numbers come from torch's
            global generators of the CPU and of the parameters' device.
        model: whose batch-norm layers keep their running statistics in the perturbed pass. Layers are found without it
            as they are called; name the model (not its compiled form) where it goes through ``torch.compile``.

    Raises:
        TypeError: the base is not a torch optimizer, or wraps one itself.
        ValueError: no parameter to train, parameters on several devices, or a setting that makes no sense here.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        make: Callable[..., Strategy],
        *,
        same_noise: bool = False,
        model: nn.Module | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> None:
        strategy = make(**settings)
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, StrategyOptimizer):
            raise TypeError(
                f"the first argument must be a plain torch optimizer, such as torch.optim.Adam(...), but is a "
                f"{type(optimizer).__name__}"
            )
        self.base = optimizer
        self.strategy = strategy
        self._inner = strategy.inner if isinstance(strategy, Mixed) else strategy
        self.same_noise = same_noise
        self.model = model
        self._running: Closures | None = None
        super().__init__(optimizer.param_groups, optimizer.defaults)
        self._share()
        if isinstance(strategy, Perturbing) and strategy.rho_warmup:
            raise ValueError("rho_warmup counts epochs, which an optimizer does not see; change rho in param_groups")
        Closures(optimizer, same_noise=same_noise, model=model)  # what is wrong with the parameters is wrong at once

    @property
    def perturbed(self) -> bool:
        """Whether the parameters are moved right now; for closures that act differently then."""
        return self._running is not None and self._running.moved

    def step(  # type: ignore[override]
        self, closure: Closure | None = None, *other_closures: Closure
    ) -> Tensor:
        """One update.

        Args:
            closure: sets gradients to zero, computes the loss of a batch, calls ``backward`` and returns the loss, as
                torch's own optimizers have it. It is called again at the perturbed point, so it must not fetch the next
                batch itself.
            other_closures: for a mixed strategy one more, the same on a second batch; else none.

        Returns:
            The loss at the current parameters, detached.

        Raises:
            TypeError: too few or too many closures, one returned no loss, or a gradient is sparse.
            RuntimeError: a closure called no ``backward``.
            NonFiniteGradientError: a loss or gradient is not finite.
        """
        closures = [one for one in (closure, *other_closures) if one is not None]
        if len(closures) != self.strategy.batches_per_step:
            raise TypeError(
                f"step() of {type(self).__name__} takes {self.strategy.batches_per_step} closure(s), which compute the "
                f"loss of a batch, call backward and return the loss, but got {len(closures)}"
            )
        self._share()
        running = self._running = Closures(self.base, same_noise=self.same_noise, model=self.model)
        try:
            with torch.no_grad():
                self._take_up_rho(running.rho)
                return self.strategy.step(running, *closures)
        finally:
            self._running = None

    def _take_up_rho(self, rho: float) -> None:
        """The strategy's radius is the largest of the groups'; the others are shares of it."""
        if isinstance(self._inner, (Perturbing, LookSAM)):
            self._inner.rho = rho

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters to the base optimizer, with ``rho`` and ``perturb`` if they differ from the rest.

        Raises:
            ValueError: as torch's.
        """
        if not any(param_group is one for one in self.base.param_groups):
            self.base.add_param_group(param_group)
        self._share()

    def _share(self) -> None:
        """Loading a state gives the base optimizer new groups; take them up, and fill in what they lack."""
        self.param_groups = self.base.param_groups
        self.state = self.base.state
        rho = self._inner.rho if isinstance(self._inner, (Perturbing, LookSAM)) else 0.0
        for group in self.param_groups:
            group.setdefault("rho", rho)
            group.setdefault("perturb", True)

    def state_dict(self) -> dict[str, Any]:
        """The base optimizer's, and under ``strategy`` the name of this one and what it remembers."""
        return {**self.base.state_dict(), STRATEGY: {"name": self._name(), **self.strategy.state()}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take up a state.

        Raises:
            ValueError: it is that of another strategy, or of no strategy at all.
        """
        saved = dict(state_dict.get(STRATEGY, {}))
        name = saved.pop("name", "no strategy")
        if name != self._name():
            raise ValueError(f"the state is that of {name}, not of {self._name()}; wrap the base optimizer as before")
        self.base.load_state_dict({key: value for key, value in state_dict.items() if key != STRATEGY})
        self.strategy.load_state({key: one.clone() for key, one in saved.items()})
        self._share()

    def _name(self) -> str:
        return type(self._inner).__name__ + ("" if self._inner is self.strategy else "+")
