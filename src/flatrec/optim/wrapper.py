"""A torch optimizer that lets a strategy compute the gradient for another optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer, SparseAdam

from flatrec.ops.param_vector import Vector
from flatrec.optim.closures import Closure, ClosureContext, real
from flatrec.optim.misuse import EPOCHS
from flatrec.optim.running_statistics import kept_running_statistics
from flatrec.optim.saved import check_base_state
from flatrec.strategies.base import Gradients, Shift, Strategy, TwoPass
from flatrec.strategies.mixed import Mixed
from flatrec.strategies.perturbation import SAMStrategy
from flatrec.utils.checked_settings import python_number

STRATEGY = "strategy"


class _GivenUpError(Exception):
    """Raised inside a step to undo it."""


@dataclass(frozen=True)
class _Half:
    """A step between first_step and second_step."""

    strategy: TwoPass
    context: ClosureContext
    grad: Vector
    result: Vector | None  # what the base optimizer gets; None if a second gradient is needed
    attempt: ExitStack  # if left with an error, it restores the strategy's state
    shift: ExitStack  # if left in any way, it restores parameters and running statistics


class StrategyOptimizer(Optimizer):
    """A torch optimizer around another one, with a strategy that computes the gradient for it.

    ``param_groups`` and ``state`` are those of the base optimizer, so schedulers, ``zero_grad`` and other code that
    uses them work on either. A group may hold ``rho``, its own radius, and ``perturb=False``, which leaves its
    parameters unperturbed and out of the norm; both may change between steps, and so may ``requires_grad``: the
    strategy's state of parameters that leave is dropped, and it begins at zero for those that join. A parameter
    without a gradient in one pass counts as having gradient zero there; one without any gradient is left alone.

    Args:
        optimizer: the base optimizer, which makes the step.
        strategy: computes the gradient; an object that no other optimizer uses.
        same_dropout_mask: whether dropout draws the same masks in both passes over a batch. Random numbers come from
            torch's global generators of the CPU and of the parameters' device.
        model: whose batch-norm layers keep their running statistics in the perturbed pass. Without it layers are
            found as they are called; give the model (not its compiled form) if it goes through ``torch.compile``.

    Raises:
        TypeError: the base is not a torch optimizer, wraps one itself, or needs a closure or sparse gradients.
        ValueError: no parameter to train, parameters on several devices, or a setting that makes no sense here.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        strategy: Strategy,
        *,
        same_dropout_mask: bool = False,
        model: nn.Module | None = None,
    ) -> None:
        _check_base(optimizer)
        if isinstance(strategy, SAMStrategy) and (strategy.rho_warmup or strategy.start_epoch):
            raise ValueError(EPOCHS.format("rho_warmup" if strategy.rho_warmup else "start_epoch"))
        self.base = optimizer
        self.strategy = strategy
        self.same_dropout_mask = same_dropout_mask
        self.model = model
        self._context: ClosureContext | None = None
        self._half: _Half | None = None
        super().__init__(optimizer.param_groups, optimizer.defaults)
        self._share()
        ClosureContext(optimizer, same_dropout_mask=same_dropout_mask, model=model)  # checks the parameters at once

    def __getstate__(self) -> dict[str, Any]:
        """What a copy, a pickle or ``torch.save`` of the whole optimizer holds."""
        self._refuse_halfway("copying the optimizer")
        return {
            "base": self.base,
            STRATEGY: self.strategy,
            "same_dropout_mask": self.same_dropout_mask,
            "model": self.model,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        base: Optimizer = state["base"]
        shared = {"defaults": base.defaults, "param_groups": base.param_groups, "state": base.state}
        super().__setstate__({**state, **shared, "_context": None, "_half": None})

    @property
    def perturbed(self) -> bool:
        """True while the parameters are perturbed; for closures that act differently then."""
        return self._context is not None and self._context.is_perturbed

    @overload  # type: ignore[override]
    def step(self) -> None: ...

    @overload
    def step(self, closure: Closure, *other_closures: Closure) -> Tensor: ...

    def step(self, closure: Closure | None = None, *other_closures: Closure) -> Tensor | None:
        """Take one step; if it raises, parameters and the strategy's state are as before.

        Args:
            closure: sets gradients to zero, computes the loss of a batch, calls ``backward`` and returns the loss, as
                for torch's own optimizers. It is called again at the perturbed point, so it must not fetch the next
                batch itself. Without one this is ``second_step``.
            other_closures: for a mixed strategy one more, which does the same with a second batch; else none.

        Returns:
            The loss at the current parameters, detached.

        Raises:
            TypeError: too few or too many closures, one returned no loss, or a gradient is sparse.
            RuntimeError: a closure called no ``backward``.
            ValueError: a closure returned more than one number.
            NonFiniteGradientError: a loss or gradient is not finite.
        """
        if self._half is not None and closure is None:
            self._finish(self._half)
            return None
        self._refuse_halfway("step(closure)")
        closures = [function for function in (closure, *other_closures) if function is not None]
        if len(closures) != self.strategy.batches_per_step:
            raise TypeError(
                f"step() of {type(self).__name__} takes {self.strategy.batches_per_step} closure(s), which compute the "
                f"loss of a batch, call backward and return the loss, but got {len(closures)}"
            )
        context = self._context = self._new_context()
        try:
            with torch.no_grad():
                return self.strategy.step(context, *closures)
        finally:
            self._context = None

    def first_step(self, zero_grad: bool = False) -> None:
        """Take the gradient that ``backward`` has left, and move the parameters to the perturbed point.

        Then call ``backward`` on the same batch again, and :meth:`second_step`. Gradients are cleared in any case. If
        the step needs no second gradient, as between the steps of an ``interval``, the parameters stay and
        ``perturbed`` is False: the second pass may be left out then. Until ``second_step``, batch-norm layers keep
        their running statistics. If your own code fails in between, call :meth:`give_up`.

        Args:
            zero_grad: whether to set all gradients to None, also those of parameters that are not trained.

        Raises:
            TypeError: this strategy, or ``same_dropout_mask``, needs ``step(closure)``; or a gradient is sparse.
            RuntimeError: there is no gradient, or this is the second time.
            NonFiniteGradientError: a gradient is not finite; nothing is changed.
        """
        self._refuse_halfway("first_step")
        strategy = self._two_pass()
        context = self._new_context()
        with torch.no_grad(), ExitStack() as attempt, ExitStack() as shift:
            attempt.enter_context(strategy.attempt(context))
            grad = context.take_gradient()
            point = strategy.choose_point(context, grad)
            if isinstance(point, Shift):
                shift.enter_context(context.perturbed(point.direction, point.scale))
            else:
                shift.enter_context(kept_running_statistics(self.model))
            result = None if isinstance(point, Shift) else point
            self._half = _Half(strategy, context, grad, result, attempt.pop_all(), shift.pop_all())
        self._context = context
        if zero_grad:
            self.zero_grad()

    def second_step(self, zero_grad: bool = False) -> None:
        """Restore the parameters and update them with the gradient that the strategy makes of both gradients.

        ``zero_grad`` sets all gradients to None afterward.

        Raises:
            RuntimeError: ``first_step`` was not called, or ``backward`` was not called after it.
            NonFiniteGradientError: a gradient is not finite; parameters and the strategy's state are as before
                ``first_step``.
        """
        if self._half is None:
            raise RuntimeError("second_step comes after first_step and another backward; call first_step before it")
        self.step()  # hooks and schedulers are attached to it
        if zero_grad:
            self.zero_grad()

    def give_up(self) -> None:
        """After ``first_step``: restore parameters and state, and take no step; at any other time do nothing."""
        half, self._half, self._context = self._half, None, None
        if half is not None:
            with torch.no_grad(), suppress(_GivenUpError), half.attempt, half.shift:
                raise _GivenUpError

    def _finish(self, half: _Half) -> None:
        self._half = None
        try:
            with torch.no_grad(), half.attempt:
                with half.shift:
                    perturbed_grad = half.result or half.context.take_gradient()
                half.context.update(half.result or half.strategy.combine(Gradients(half.grad, perturbed_grad)))
        finally:
            self._context = None

    def _two_pass(self) -> TwoPass:
        if not isinstance(self.strategy, TwoPass):
            raise TypeError(
                f"{type(self).__name__} does not take two gradients of one batch and one update, as first_step and "
                "second_step do; use step(closure)"
            )
        if self.same_dropout_mask:
            raise TypeError("same_dropout_mask cannot repeat a pass that is over before first_step; use step(closure)")
        return self.strategy

    def _refuse_halfway(self, action: str) -> None:
        if self._half is not None:
            raise RuntimeError(
                f"{action} is not possible between first_step and second_step, while the parameters are perturbed; "
                "call second_step or give_up first"
            )

    @property
    def _inner(self) -> Strategy:
        return self.strategy.inner if isinstance(self.strategy, Mixed) else self.strategy

    def _new_context(self) -> ClosureContext:
        """Return the context of a step; the strategy's radius is the largest radius of the groups."""
        self._share()
        context = ClosureContext(self.base, same_dropout_mask=self.same_dropout_mask, model=self.model)
        if isinstance(self._inner, TwoPass):
            self._inner.rho = context.rho
        return context

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters to the base optimizer, with ``rho`` and ``perturb`` if they differ from the rest.

        Raises:
            ValueError: as torch's.
        """
        self._refuse_halfway("adding a group")
        if not any(param_group is group for group in self.base.param_groups):
            self.base.add_param_group(param_group)
        self._share()

    def _share(self) -> None:
        """Share the groups of the base optimizer, which are new after a state is loaded, and add missing entries."""
        self.param_groups = self.base.param_groups
        self.state = self.base.state
        rho = self._inner.rho if isinstance(self._inner, TwoPass) else 0.0
        for group in self.param_groups:
            group["rho"] = python_number(group.get("rho", rho))
            group.setdefault("perturb", True)

    def state_dict(self) -> dict[str, Any]:
        """The state of the base optimizer, and under ``strategy`` the name and the state of the strategy."""
        self._refuse_halfway("state_dict")
        return {**self.base.state_dict(), STRATEGY: {"name": self._name(), **self.strategy.state()}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state.

        Raises:
            ValueError: it is that of another strategy or model, or of no strategy at all; nothing is changed.
        """
        self._refuse_halfway("load_state_dict")
        saved = dict(state_dict.get(STRATEGY, {}))
        name = saved.pop("name", "no strategy")
        if name != self._name():
            raise ValueError(f"the state is that of {name}, not of {self._name()}; wrap the base optimizer as before")
        base = {key: value for key, value in state_dict.items() if key != STRATEGY}
        check_base_state(self.base, base)
        self.strategy.load_state(
            saved, [real(tensor) for group in self.base.param_groups for tensor in group["params"]]
        )
        self.base.load_state_dict(base)
        self._share()

    def _name(self) -> str:
        return type(self._inner).__name__ + ("" if self._inner is self.strategy else "+")


def _check_base(optimizer: Optimizer) -> None:
    name = type(optimizer).__name__
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, StrategyOptimizer):
        raise TypeError(
            f"the first argument must be a plain torch optimizer, such as torch.optim.Adam(...), but is a {name}"
        )
    if isinstance(optimizer, SparseAdam):
        raise TypeError("SparseAdam takes sparse gradients, which no strategy here computes; use torch.optim.Adam")
    first = list(inspect.signature(type(optimizer).step).parameters.values())[1:2]
    needs_closure = any(arg.default is arg.empty and arg.kind is arg.POSITIONAL_OR_KEYWORD for arg in first)
    if isinstance(optimizer, LBFGS) or needs_closure:
        raise TypeError(
            f"{name} calls a closure by itself, but here a base optimizer steps with a gradient; use another, such as "
            "torch.optim.Adam"
        )
