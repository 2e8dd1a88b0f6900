"""What is recorded of a model or strategy that was given as an object: what can be known of it, and what cannot."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from flatrec.config import Component
from flatrec.models import MODELS
from flatrec.models.base import Model
from flatrec.strategies import STRATEGIES
from flatrec.strategies.base import Strategy
from flatrec.strategies.mixed import Mixed

UNRECORDED = {"unrecorded": "it was given as an object, whose settings are not known"}


def model_component(model: Model) -> Component:
    """The name of a model; a model does not keep its settings."""
    return Component(_name(type(model)), UNRECORDED)


def strategy_component(strategy: Strategy) -> Component:
    """The name of a strategy with its settings, as far as it is a dataclass and so keeps them.

    Example:
        >>> from flatrec.strategies.sam import SAM
        >>> one = strategy_component(Mixed(SAM(rho=0.2), kappa=0.5))
        >>> one.name, one.options["rho"], one.options["kappa"]
        ('sam+', 0.2, 0.5)
    """
    if isinstance(strategy, Mixed):
        inner = strategy_component(strategy.inner)
        return Component(f"{inner.name}+", {**inner.options, "kappa": strategy.kappa})
    if not is_dataclass(strategy):
        return Component(_name(type(strategy)), UNRECORDED)
    return Component(
        _name(type(strategy)), {one.name: getattr(strategy, one.name) for one in fields(strategy) if one.init}
    )


def _name(kind: type) -> str:
    """The name that the tables have for a class, or where the class stands."""
    target = f"{kind.__module__}:{kind.__qualname__}"
    entries = {**MODELS.entries, **STRATEGIES.entries}
    return next((name for name, one in entries.items() if one.target == target), target)
