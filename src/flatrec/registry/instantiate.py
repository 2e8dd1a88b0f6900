"""From names and settings to models, strategies and optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal, TypeAlias, TypeVar, assert_never

import torch
from pydantic import create_model

from flatrec.config import Component, Config, Evaluation, Experiment, Option, Regularization, config_of, validate
from flatrec.data.dataset import Dataset
from flatrec.evaluation.metrics import resolve_metrics
from flatrec.losses import LOSSES
from flatrec.losses.base import RankingLoss
from flatrec.models import BASELINES, MODELS
from flatrec.models.base import Baseline, Model, ModelConfig
from flatrec.registry.constructors import settings_class
from flatrec.registry.model_defaults import known_class, model_defaults, open_defaults, with_layer
from flatrec.registry.naming import check_mixable, own_class, unknown_name
from flatrec.sampling import SAMPLINGS
from flatrec.sampling.base import NegativeSampling
from flatrec.strategies import MIXABLE, STRATEGIES
from flatrec.strategies.base import SingleBatchStrategy, Strategy
from flatrec.strategies.mixed import Mixed
from flatrec.training import optimizers, schedules
from flatrec.utils import seeding, user_classes
from flatrec.utils.lazy_registry import Registry
from flatrec.utils.messages import raised, unknown

T = TypeVar("T")
DEFAULT_LOSS = "default"  # each model's own
Kind: TypeAlias = Literal["model", "loss", "sampling", "strategy", "optimizer", "schedule"]


class OwnLoss(Config):
    """The settings of a model's own loss: none."""


def with_defaults(experiment: Experiment, model: type[Model] | type[Baseline] | None = None) -> Experiment:
    """The complete experiment: what is left out has the model's own default, else the general one.

    All settings of its components are checked, typed and stated; metrics too. A run folder records this. What is typed
    already stays as it is, and an experiment that is complete takes no default of its model
    (:mod:`flatrec.registry.model_defaults`).

    Args:
        experiment: what the user states.
        model: the class of the model, if it was given as an object; by default the one that the experiment names.

    Raises:
        ValueError: an unknown name or setting, or a value of the wrong type or out of range; or the class has a
            mistake in ``DEFAULTS``, or a default of it does not go with what the user states.
    """
    taken = own_defaults(experiment, model)
    if not taken:
        return _stated(experiment)
    try:
        return _stated(with_layer(experiment, taken))
    except ValueError as error:
        _stated(experiment)  # a mistake of the user alone is said as such
        listed = ", ".join(f"{name} = {value!r}" for name, value in taken.items())
        raise ValueError(f"{error}; defaults of the model do not go with that ({listed}); set them") from None


def own_defaults(experiment: Experiment, model: type[Model] | type[Baseline] | None = None) -> dict[str, Option]:
    """The model's own defaults that an experiment takes, since the user has left these settings open.

    Args:
        experiment: what the user states.
        model: as in :func:`with_defaults`.

    Raises:
        ValueError: the class has a mistake in ``DEFAULTS``.
    """
    if experiment.complete:
        return {}
    kind = model or known_class(experiment.model.name)
    defaults = model_defaults(kind)
    if kind is None or not defaults:
        return {}
    try:
        _check_defaults(kind, defaults)
    except ValueError as error:
        raise ValueError(f"{kind.__name__}.DEFAULTS: {error}") from None
    return open_defaults(experiment, defaults)


def _check_defaults(kind: type[Model] | type[Baseline], defaults: Mapping[str, Option]) -> None:
    """Make sure that defaults of a model are settings that go together."""
    of_model = {name.removeprefix("model."): value for name, value in defaults.items() if name.startswith("model.")}
    others = {name: value for name, value in defaults.items() if not name.startswith("model.")}
    model = Component(kind.__name__, validate(kind.Config, of_model, "model"))
    _stated(with_layer(Experiment(model=model), others))


def _stated(experiment: Experiment) -> Experiment:
    """The experiment, complete, with everything in it stated and checked."""
    return experiment.completed().replace(
        model=checked("model", experiment.model),
        loss=checked("loss", experiment.loss),
        sampling=checked("sampling", experiment.sampling),
        strategy=checked("strategy", experiment.strategy),
        optimizer=checked("optimizer", experiment.optimizer),
        schedule=checked("schedule", experiment.schedule),
        regularization=validate(Regularization, dict(experiment.regularization), "regularization"),
        evaluation=_checked_evaluation(experiment.evaluation),
    )


def _checked_evaluation(evaluation: Evaluation) -> Evaluation:
    try:
        resolve_metrics(evaluation.metrics)
    except ValueError as error:
        raise ValueError(f"evaluation.metrics: {error}") from None
    return evaluation.replace(metrics=tuple(map(user_classes.canonical, evaluation.metrics)))


def checked(kind: Kind, component: Component) -> Component:
    """A model, strategy or optimizer with all of its settings, checked and typed.

    Raises:
        ValueError: an unknown name or setting, or a value of the wrong type or out of range.
    """
    name = user_classes.canonical(component.name)
    try:
        return Component(name, resolve_kwargs(kind, component))
    except ValueError as error:
        if component.named or kind == "model" or not component.options.keys() - config_class(kind, name).model_fields:
            raise
        raise ValueError(f"{error}; {kind}.name is {name} by default, so name the one that has it") from None


def resolve_kwargs(kind: Kind, component: Component) -> Config:
    """The typed settings of a component.

    Raises:
        ValueError: an unknown name or setting, or a value of the wrong type or out of range.
    """
    if isinstance(component.settings, Config):
        return component.settings
    if kind == "optimizer":
        return optimizers.settings(component.name, component.settings)
    return validate(config_class(kind, component.name), component.settings, kind)


def config_class(kind: Kind, name: str) -> type[Config]:
    """The class of the settings of a model, strategy or optimizer.

    Example:
        >>> config_class("strategy", "sam+")().kappa
        0.6

    Raises:
        ValueError: there is none of that name.
    """
    if kind == "model":
        return settings_class(model_class(name))
    if kind == "strategy":
        inner = settings_class(strategy_class(name))
        return mixed_config(inner) if name.endswith("+") else inner
    if kind == "loss":
        return OwnLoss if name == DEFAULT_LOSS else config_of(_listed(LOSSES, "loss", name))
    if kind == "sampling":
        return config_of(_listed(SAMPLINGS, "sampling", name))
    if kind == "optimizer":
        return optimizers.config_class(name)
    if kind == "schedule":
        return schedules.config_class(name)
    assert_never(kind)


@cache
def mixed_config(inner: type[Config]) -> type[Config]:
    """The class of the settings of a mixed strategy, from that of the strategy that is mixed."""
    return create_model(f"Mixed{inner.__name__}", __base__=(config_of(Mixed, skip=1), inner))


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
    raise unknown_name("model", name, [*MODELS, *BASELINES])


def build_model(component: Component, dataset: Dataset, seed: int) -> Model | Baseline:
    """A model with its initial parameters, which depend on the seed alone.

    Raises:
        ValueError: an unknown name or setting, or one that the model refuses; or the user's own model raised something.
    """
    make = model_class(component.name)
    config = resolve_kwargs("model", component)
    assert isinstance(config, ModelConfig)
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seeding.derive_seed(seed, "initial parameters"))  # those of devices stay
        return _built("model", component.name, lambda: _with_config(make(dataset, config), config))


def _with_config(model: Model | Baseline, config: ModelConfig) -> Model | Baseline:
    """The model, which must keep the settings that it was made with: a run folder records them."""
    kept = getattr(model, "config", None)
    if kept != config:
        name = type(model).__name__
        raise ValueError(
            f"the constructor of {name} was given {config!r}, but {name}.config is {kept!r}; begin it with "
            "super().__init__(dataset, config)"
        )
    return model


def _built(kind: Kind, name: str, make: Callable[[], T]) -> T:
    """What is made; whatever a class of the user's own raises becomes a line that says where."""
    try:
        return make()
    except ValueError as error:
        raise ValueError(f"{kind}: {error}") from None
    except Exception as error:
        if not user_classes.is_own(name):
            raise
        raise ValueError(f"{user_classes.parsed(name).class_name} could not be built: {raised(error)}") from error


def _listed(table: Registry[T], kind: Kind, name: str) -> type[T]:
    if name not in table:
        more = [DEFAULT_LOSS] if kind == "loss" else []
        raise ValueError(unknown(kind, name, [*more, *table]))
    return table[name]


def build_loss(component: Component) -> RankingLoss | None:
    """A ranking loss; None for the model's own.

    Raises:
        ValueError: an unknown name or setting, or one that the loss refuses.
    """
    if component.name == DEFAULT_LOSS:
        return None
    settings = dict(resolve_kwargs("loss", component))
    return _built("loss", component.name, lambda: LOSSES[component.name](**settings))


def build_sampling(component: Component) -> NegativeSampling:
    """A choice of negatives.

    Raises:
        ValueError: an unknown name or setting, or one that it refuses.
    """
    settings = dict(resolve_kwargs("sampling", component))
    return _built("sampling", component.name, lambda: SAMPLINGS[component.name](**settings))


def strategy_names() -> list[str]:
    """All strategies, each followed by its mixed form where it has one."""
    return [shown for name in STRATEGIES for shown in ((name, f"{name}+") if name in MIXABLE else (name,))]


def strategy_class(name: str) -> type[Strategy]:
    """The class of a strategy; of a mixed one, that which is mixed.

    Raises:
        ValueError: there is none of that name, or it cannot be mixed.
    """
    if name in strategy_names():
        return STRATEGIES[name.removesuffix("+")]
    if not user_classes.is_own(name):
        raise unknown_name("strategy", name, strategy_names())
    kind: type[Strategy] = own_class("strategy", name)
    if name.endswith("+"):
        check_mixable(kind)
    return kind


def build_strategy(component: Component) -> Strategy:
    """A strategy; a ``+`` at the end of the name mixes it.

    Raises:
        ValueError: an unknown name or setting, or one that the strategy refuses.
    """
    kind = strategy_class(component.name)
    settings = dict(resolve_kwargs("strategy", component))
    inner = {name: settings.pop(name) for name in settings_class(kind).model_fields}
    strategy = _built("strategy", component.name, lambda: kind(**inner))
    if not component.name.endswith("+"):
        return strategy
    assert isinstance(strategy, SingleBatchStrategy)
    return _built("strategy", component.name, lambda: Mixed(strategy, **settings))
