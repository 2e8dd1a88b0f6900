"""From names and settings to models, strategies and optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from flatrec import seeding
from flatrec.config import Component, Experiment, arguments, build, unknown
from flatrec.data.dataset import Dataset
from flatrec.models import MODELS, YARDSTICKS, Model, Yardstick
from flatrec.strategies import MIXABLE, STRATEGIES, Mixed, Strategy
from flatrec.training import optimizers


def resolved(experiment: Experiment) -> Experiment:
    """The experiment with every setting that was left out at its default; what a run folder records.

    Raises:
        ValueError: an unknown name or setting, or a value of the wrong type.
    """
    return replace(
        experiment,
        model=_filled(experiment.model, model_class(experiment.model.name), "model", given=1),
        strategy=_filled_strategy(experiment.strategy),
        optimizer=Component(
            experiment.optimizer.name,
            _stated(optimizers.settings(experiment.optimizer.name, experiment.optimizer.options)),
        ),
    )


def model_class(name: str) -> type[Model] | type[Yardstick]:
    """The class of a model or yardstick.

    Raises:
        ValueError: there is none of that name.
    """
    known: dict[str, type[Model] | type[Yardstick]] = {**MODELS, **YARDSTICKS}
    if name not in known:
        raise ValueError(unknown("model", name, list(known)))
    return known[name]


def build_model(component: Component, dataset: Dataset, seed: int) -> Model | Yardstick:
    """A model with its initial parameters, which depend on the seed alone.

    Raises:
        ValueError: an unknown name or setting, or one that the model refuses.
    """
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seeding.number(seed, "initial parameters"))  # those of devices stay
        make: Callable[..., Model | Yardstick] = model_class(component.name)
        return build(make, component.options, "model", dataset)


def strategy_names() -> list[str]:
    """All strategies, each followed by its mixed form where it has one."""
    return [shown for name in STRATEGIES for shown in ((name, f"{name}+") if name in MIXABLE else (name,))]


def strategy_options(name: str) -> Mapping[str, Any]:
    """The settings that a strategy has, at their defaults.

    Raises:
        ValueError: there is none of that name.
    """
    return resolved(Experiment(strategy=Component(name))).strategy.options


def build_strategy(component: Component) -> Strategy:
    """A strategy; a ``+`` at the end of the name mixes it.

    Raises:
        ValueError: an unknown name or setting, or one that the strategy refuses.
    """
    inner, mix = _strategy_options(component)
    strategy: Strategy = build(_strategy_class(component.name), inner, "strategy")
    return build(Mixed, mix, "strategy", strategy) if component.name.endswith("+") else strategy


def _strategy_class(name: str) -> type[Strategy]:
    if name not in strategy_names():
        raise ValueError(unknown("strategy", name, strategy_names()))
    return STRATEGIES[name.removesuffix("+")]


def _strategy_options(component: Component) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the inner strategy and those of the mix; an option that is neither goes to both checks."""
    mixes = set(arguments(Mixed, {}, "strategy", given=1)) if component.name.endswith("+") else set()
    inner = {key: value for key, value in component.options.items() if key not in mixes}
    known = list(arguments(_strategy_class(component.name), {}, "strategy"))
    for key in inner:
        if key not in known:
            raise ValueError(f"strategy {component.name}: {unknown('setting', key, [*known, *sorted(mixes)])}")
    return inner, {key: value for key, value in component.options.items() if key in mixes}


def _filled_strategy(component: Component) -> Component:
    inner, mix = _strategy_options(component)
    options = arguments(_strategy_class(component.name), inner, "strategy")
    if component.name.endswith("+"):
        options |= arguments(Mixed, mix, "strategy", given=1)
    return Component(component.name, _stated(options))


def _filled(component: Component, make: Callable[..., object], where: str, given: int) -> Component:
    return Component(component.name, _stated(arguments(make, component.options, where, given)))


def _stated(options: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is or holds None, which TOML cannot say and which means "as if left out"."""
    return {
        key: value
        for key, value in options.items()
        if value is not None and not (isinstance(value, tuple) and None in value)
    }
