"""From models and strategies that were given as objects back to names and settings."""

from __future__ import annotations

from flatrec.config import Component, Config, config_of
from flatrec.config.generated import takes_fields
from flatrec.models import MODELS
from flatrec.models.base import Model
from flatrec.registry.constructors import check_form
from flatrec.registry.instantiate import mixed_config
from flatrec.strategies import STRATEGIES
from flatrec.strategies.base import Strategy
from flatrec.strategies.mixed import Mixed


class Unrecorded(Config):
    """Stands for the settings of a strategy that was given as an object and does not keep them."""

    unrecorded: str = "it was given as an object, whose settings are not known"


def model_component(model: Model) -> Component:
    """The name and settings of a model that was given as an object, as far as it keeps them in ``config``."""
    try:
        check_form(type(model), "model")
    except ValueError:  # an object may be made in any way; what it was made with is then not known
        return Component(_name(type(model)), Unrecorded())
    return Component(_name(type(model)), model.config)


def strategy_component(strategy: Strategy) -> Component:
    """The name and settings of a strategy that was given as an object, as far as it is a dataclass and so keeps them.

    Example:
        >>> from flatrec.strategies.sam import SAM
        >>> component = strategy_component(Mixed(SAM(rho=0.2), kappa=0.5))
        >>> component.name, component.settings.rho, component.settings.kappa
        ('sam+', 0.2, 0.5)
    """
    if isinstance(strategy, Mixed):
        inner, kind = strategy_component(strategy.inner), config_of(Mixed, skip=1)
        mixed = {name: getattr(strategy, name) for name in kind.model_fields}
        if isinstance(inner.settings, Unrecorded):
            return Component(f"{inner.name}+", inner.settings)
        settings = mixed_config(config_of(type(strategy.inner)))(**dict(inner.settings), **mixed)
        return Component(f"{inner.name}+", settings)
    if not takes_fields(type(strategy)):
        return Component(_name(type(strategy)), Unrecorded())
    fields = config_of(type(strategy))
    return Component(_name(type(strategy)), fields(**{name: getattr(strategy, name) for name in fields.model_fields}))


def _name(kind: type) -> str:
    """The name that the tables have for a class, or where the class stands."""
    target = f"{kind.__module__}:{kind.__qualname__}"
    entries = {**MODELS.entries, **STRATEGIES.entries}
    return next((name for name, one in entries.items() if one.target == target), target)
