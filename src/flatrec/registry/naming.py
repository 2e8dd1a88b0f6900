"""Classes of the user's own that are named: on the command line, in Python, and again for a run that has one."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from flatrec.config import Component, Experiment, Training
from flatrec.config.old_words import NAMES, new_name
from flatrec.evaluation.metrics.registry import METRICS, checked_class
from flatrec.loggers import LOGGERS
from flatrec.loggers.run_loggers import logger_class
from flatrec.models import BASELINES, MODELS
from flatrec.models.base import Baseline, Model
from flatrec.registry.constructors import check_form
from flatrec.strategies import STRATEGIES
from flatrec.strategies.base import SingleBatchStrategy, Strategy
from flatrec.utils import user_classes
from flatrec.utils.importing import UNKNOWN
from flatrec.utils.messages import unknown

_BASES: Mapping[str, tuple[type, ...]] = {"model": (Model, Baseline), "strategy": (Strategy,)}
_METRIC = "a subclass of flatrec.evaluation.Metric"
logger = logging.getLogger(__name__)
_SUBCLASS = {"model": "a subclass of flatrec.models.Model", "strategy": "a subclass of flatrec.strategies.Strategy"}


def register_model(name: str, kind: type[Model]) -> None:
    """Let a model of your own be named like those of the library, in this process.

    Another process, or a later session, that is to go on with a run or to load it needs the class registered again, or
    named by its file.

    Args:
        name: letters, digits and hyphens.
        kind: a subclass of :class:`flatrec.models.Model`.

    Raises:
        ValueError: the name is taken or not of this form, or the class cannot be built from settings.
    """
    _register("model", name, kind)


def register_strategy(name: str, kind: type[Strategy]) -> None:
    """Let a strategy of your own be named like those of the library, in this process; see :func:`register_model`.

    Args:
        name: letters, digits and hyphens; ``name+`` mixes it where it extends ``SingleBatchStrategy``.
        kind: a subclass of :class:`flatrec.strategies.Strategy`.

    Raises:
        ValueError: the name is taken or not of this form, or the class cannot be built from settings.
    """
    _register("strategy", name, kind)


def _register(what: str, name: str, kind: type) -> None:
    if not re.fullmatch(r"[A-Za-z][\w-]*", name) or name in (*MODELS, *BASELINES, *STRATEGIES):
        raise ValueError(
            f"{name!r} cannot name a {what} of yours; take letters, digits and hyphens, and no name of ours"
        )
    _check(what, kind, name)
    user_classes.remember(kind, name)


def import_named(what: str, name: str | type) -> str:
    """The name by which settings and run folders know what the user names; a class of the user's is imported.

    Args:
        what: ``model`` or ``strategy``.
        name: a name of ours, ``module:Class``, ``file.py:Class`` (of a strategy with a ``+`` at the end to mix it), or
            the class itself.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such module or class, or it cannot be built from settings.
    """
    ours = {one.target: known for table in (MODELS, BASELINES, STRATEGIES) for known, one in table.entries.items()}
    if isinstance(name, type):
        target = f"{name.__module__}:{name.__qualname__}"
        if target in ours:
            return ours[target]
        _check(what, name, name.__name__)
        return user_classes.remember(name)
    if not user_classes.is_own(name):
        return name  # whatever looks it up says if there is none
    if what == "model" and user_classes.parsed(name).mixed:
        raise ValueError(f"{name} ends in a +, which mixes strategies; a model has none")
    text = user_classes.load(name, _SUBCLASS[what])
    kind = user_classes.find(text)
    assert kind is not None
    target = f"{kind.__module__}:{kind.__qualname__}"
    if target in ours:
        return ours[target] + ("+" if text.endswith("+") else "")
    _check(what, kind, user_classes.parsed(name).place)
    if what == "strategy" and text.endswith("+"):
        check_mixable(kind)
    return text


def import_metrics(metrics: Sequence[str | type]) -> tuple[str, ...]:
    """The names by which settings and run folders know metrics; classes of the user's own are imported.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such module or class, or it is no metric.
    """
    return tuple(_import_metric(one) for one in metrics)


def _import_metric(one: str | type) -> str:
    if isinstance(one, str) and (one in METRICS or not user_classes.is_own(one)):
        return one  # whatever looks it up says if there is none
    if isinstance(one, type):
        text = user_classes.remember(one)
    elif user_classes.parsed(one).digest and user_classes.find(one) is not None:
        text = one  # the name of a class that was given itself: its script is running, and must not run again
    else:
        text = user_classes.load(one, _METRIC)
    kind = user_classes.find(text)
    assert kind is not None
    checked_class(kind)
    return text


def import_loggers(training: Training) -> Training:
    """The settings with the names by which run folders know loggers; classes of the user's own are imported.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such logger, module or class, or it lacks a method.
    """
    names = tuple(_import_logger(name) for name in training.loggers)
    return training if names == training.loggers else training.replace(loggers=names)


def _import_logger(name: str) -> str:
    if name not in LOGGERS and user_classes.is_own(name) and user_classes.find(name) is None:
        name = user_classes.load(name, "a logger with the methods start, log and end")
    logger_class(name)
    return user_classes.canonical(name)


def import_metrics_of_run(recorded: Sequence[str], named: Sequence[str | type]) -> None:
    """Import the metrics of a run folder that are the user's own, where they are named again, only there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a class that is named is no metric of the run, or has changed since.
    """
    own = {user_classes.parsed(text).class_name: text for text in recorded if user_classes.is_own(text)}
    for given in import_metrics(named):
        before = own.get(user_classes.parsed(given).class_name)
        if before is None:
            raise ValueError(
                f"the run was made without the metric {user_classes.parsed(given).place}; leave it out, or name one of "
                f"the run's own ({', '.join(own) or 'it has none'})"
            )
        user_classes.check_unchanged(before, given)
        user_classes.answer_to(before, given)


def available_metrics(recorded: Sequence[str]) -> tuple[str, ...]:
    """The metrics of a run without those of the user's own that were not named, which a warning names."""
    missing = [one for one in recorded if user_classes.is_own(one) and user_classes.find(one) is None]
    for place in (user_classes.parsed(one).place for one in missing):
        logger.warning(
            "the metric %s is a class of your own, whose code is run only where you name it, and is left out; add "
            '--metric %s, or in Python load_run(..., metrics=["%s"])',
            place,
            place,
            place,
        )
    return tuple(one for one in recorded if one not in missing)


def with_named(experiment: Experiment) -> Experiment:
    """The experiment as the user names it: classes of the user's own are imported.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such module or class, or it cannot be built from settings.
    """
    model, strategy = experiment.model, experiment.strategy
    return experiment.replace(
        model=replace(model, name=import_named("model", model.name)),
        strategy=replace(strategy, name=import_named("strategy", strategy.name)),
        evaluation=experiment.evaluation.replace(metrics=import_metrics(experiment.evaluation.metrics)),
        training=import_loggers(experiment.training),
    )


def of_run(recorded: Component, what: str, name: str | type | None) -> Component:
    """The model or strategy of a run folder; a class of the user's own is imported where it is named again, only there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the run was made with a class that is not named, with another one, or that has changed since.
    """
    if name is None:
        _require(what, recorded.name)
        return recorded
    given = import_named(what, name)
    if given == recorded.name:
        return recorded
    before, now = user_classes.parsed(recorded.name), user_classes.parsed(given)
    kind = user_classes.find(given) if user_classes.is_own(given) else None
    alike = ":" not in before.place or (kind is not None and before.class_name == kind.__name__)
    if kind is None or not before.digest or not alike or before.mixed != now.mixed:
        raise ValueError(
            f"the run was made with {what} {before.place}{'+' * before.mixed}, not with {now.place}{'+' * now.mixed}; "
            f"name the former{'' if before.digest else f', or leave out --{what}'}"
        )
    if before.digest not in (now.digest, UNKNOWN):
        raise ValueError(user_classes.changed(before, now.digest))
    user_classes.answer_to(recorded.name, given)
    return recorded


def _require(what: str, name: str) -> None:
    """A class of the user's own must have been named."""
    if not user_classes.is_own(name) or user_classes.find(name) is not None:
        return
    before = user_classes.parsed(name)
    place = before.place + "+" * before.mixed
    if ":" in place:
        raise ValueError(
            f"{what} {place} is a class of your own, whose code is run only where you name it; add --{what} {place}, "
            f'or in Python {what}="{place}"'
        )
    raise ValueError(
        f"{what} {place!r} is a class of your own that was registered in another process; register it again with "
        f"flatrec.register_{what}, or name its file: --{what} file.py:Class"
    )


def _check(what: str, kind: type, place: str) -> None:
    base = _BASES[what]
    if not issubclass(kind, base):
        bases = ", ".join(one.__name__ for one in kind.__bases__)
        raise ValueError(f"{place} must be {_SUBCLASS[what]}, but is a class derived from {bases}")
    check_form(kind, what)


def unknown_name(what: str, name: str, known: Sequence[str]) -> ValueError:
    """An error for a name that no model or strategy has."""
    new = new_name(name, known, NAMES)
    line = f"unknown {what} {name!r}{new}" if new else unknown(what, name, known)
    return ValueError(f"{line}; or give your own as file.py:Class")


def own_class(what: str, name: str) -> type:
    """A class of the user's own that was named in this process.

    Raises:
        ValueError: it was not named, or is something else.
    """
    _require(what, name)
    kind = user_classes.find(name)
    assert kind is not None
    if not issubclass(kind, _BASES[what]):
        raise ValueError(f"{user_classes.parsed(name).place} is no {what}")
    return kind


def check_mixable(kind: type) -> None:
    """Make sure that a strategy of the user's own ends in a gradient.

    Raises:
        ValueError: it does not.
    """
    if not issubclass(kind, SingleBatchStrategy):
        raise ValueError(
            f"{kind.__name__} cannot be mixed, as it does not end in a gradient; leave out the +, or extend "
            "flatrec.strategies.SingleBatchStrategy"
        )
