"""From names and settings to models, strategies and optimizers."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch

from flatrec.config import Component, Experiment, Options, arguments, build
from flatrec.data.dataset import Dataset
from flatrec.models import BASELINES, MODELS
from flatrec.models.base import Baseline, Model, ModelConfig
from flatrec.registry.naming import check_mixable, own_class
from flatrec.strategies import MIXABLE, STRATEGIES
from flatrec.strategies.base import Strategy
from flatrec.strategies.mixed import Mixed
from flatrec.training import optimizers
from flatrec.utils import seeding, user_classes
from flatrec.utils.messages import raised, unknown

T = TypeVar("T")


def with_defaults(experiment: Experiment, *, objects: Container[str] = ()) -> Experiment:
    """The experiment with every setting that was left out at its default; what a run folder records.

    Args:
        experiment: the settings.
        objects: ``model`` or ``strategy``, where that was given as an object and is to stay as it is.

    Raises:
        ValueError: an unknown name or setting, or a value of the wrong type.
    """
    return replace(
        experiment,
        model=experiment.model if "model" in objects else _filled_model(experiment.model),
        strategy=experiment.strategy if "strategy" in objects else _filled_strategy(experiment.strategy),
        optimizer=Component(
            experiment.optimizer.name,
            _stated(optimizers.settings(experiment.optimizer.name, experiment.optimizer.options)),
        ),
    )


def model_class(name: str) -> type[Model] | type[Baseline]:
    """The class of a model or baseline.

    Raises:
        ValueError: there is none of that name, or it is a class of the user's own that was not named.
    """
    if name in MODELS:
        return MODELS[name]
    if name in BASELINES:
        return BASELINES[name]
    if user_classes.is_own(name):
        return own_class("model", name)
    raise ValueError(f"{unknown('model', name, [*MODELS, *BASELINES])}; or give your own as file.py:Class")


def build_model(component: Component, dataset: Dataset, seed: int) -> Model | Baseline:
    """A model with its initial parameters, which depend on the seed alone.

    Raises:
        ValueError: an unknown name or setting, or one that the model refuses; or the user's own model raised something.
    """
    kind = model_class(component.name)
    config = model_config(kind, component.options)
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seeding.derive_seed(seed, "initial parameters"))  # those of devices stay
        return _built(component.name, lambda: kind(dataset, config))


def model_config(kind: type[Model] | type[Baseline], options: Options) -> ModelConfig:
    """The settings of a model or baseline, those left out at their defaults.

    Raises:
        ValueError: a setting is unknown, of another type or out of range.
    """
    try:
        return kind.Config(**options)
    except ValueError as error:
        raise ValueError(f"model: {error}") from None


def _built(name: str, make: Callable[[], T]) -> T:
    """What is made; whatever a class of the user's own raises becomes a line that says where."""
    if not user_classes.is_own(name):
        return make()
    try:
        return make()
    except ValueError:
        raise
    except Exception as error:  # a stranger's code may raise anything
        raise ValueError(f"{user_classes.parsed(name).class_name} could not be built: {raised(error)}") from error


def strategy_names() -> list[str]:
    """All strategies, each followed by its mixed form where it has one."""
    return [shown for name in STRATEGIES for shown in ((name, f"{name}+") if name in MIXABLE else (name,))]


def strategy_options(name: str) -> Mapping[str, Any]:
    """The settings that a strategy has, at their defaults.

    Raises:
        ValueError: there is none of that name.
    """
    return _filled_strategy(Component(name)).options


def build_strategy(component: Component) -> Strategy:
    """A strategy; a ``+`` at the end of the name mixes it.

    Raises:
        ValueError: an unknown name or setting, or one that the strategy refuses.
    """
    inner, mix = _strategy_options(component)
    kind = strategy_class(component.name)
    strategy: Strategy = _built(component.name, lambda: build(kind, inner, "strategy"))
    return build(Mixed, mix, "strategy", strategy) if component.name.endswith("+") else strategy


def strategy_class(name: str) -> type[Strategy]:
    """The class of a strategy; of a mixed one, that which is mixed.

    Raises:
        ValueError: there is none of that name, or it cannot be mixed.
    """
    if name in strategy_names():
        return STRATEGIES[name.removesuffix("+")]
    if not user_classes.is_own(name):
        raise ValueError(f"{unknown('strategy', name, strategy_names())}; or give your own as file.py:Class")
    kind: type[Strategy] = own_class("strategy", name)
    if name.endswith("+"):
        check_mixable(kind)
    return kind


def _strategy_options(component: Component) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the inner strategy and those of the mix; an option that is neither goes to both checks."""
    mixes = set(arguments(Mixed, {}, "strategy", given=1)) if component.name.endswith("+") else set()
    inner = {key: value for key, value in component.options.items() if key not in mixes}
    known = list(arguments(strategy_class(component.name), {}, "strategy"))
    for key in inner:
        if key not in known:
            name = user_classes.short(component.name)
            raise ValueError(f"strategy {name}: {unknown('setting', key, [*known, *sorted(mixes)])}")
    return inner, {key: value for key, value in component.options.items() if key in mixes}


def _filled_strategy(component: Component) -> Component:
    inner, mix = _strategy_options(component)
    options = arguments(strategy_class(component.name), inner, "strategy")
    if component.name.endswith("+"):
        options |= arguments(Mixed, mix, "strategy", given=1)
    return Component(user_classes.canonical(component.name), _stated(options))


def _filled_model(component: Component) -> Component:
    config = model_config(model_class(component.name), component.options)
    return Component(user_classes.canonical(component.name), _stated(config.model_dump()))


def _stated(options: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is or holds None, which TOML cannot say and which means "as if left out"."""
    return {
        key: value
        for key, value in options.items()
        if value is not None and not (isinstance(value, tuple) and None in value)
    }
