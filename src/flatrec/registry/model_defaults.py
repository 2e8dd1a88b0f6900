"""The defaults of a model: a layer between the general defaults and what a user states.

``Model.DEFAULTS`` names them. Each is taken where the user has left its setting open, by these rules:

- What a user states is never replaced.
- A loss, strategy, optimizer or other component that the user names has the defaults of its own class alone.
- What belongs to a choice goes with it: with another ``regularization.kind`` the weight is the general default, with
  another ``training.average`` its decay and start, and with another loss the choice of negatives. ``default`` as the
  kind is the model's own penalty as released, so that ``model.reg_weight`` goes with the choice, too.

An experiment that is complete takes none, so that a recorded one means the same when ``DEFAULTS`` change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flatrec.config import Component, Config, Experiment, Option, validate
from flatrec.config.base import plain_value, stated_settings
from flatrec.models import MODELS
from flatrec.models.base import Baseline, Model
from flatrec.utils import user_classes

GROUPS = ("model", "loss", "sampling", "regularization", "strategy", "optimizer", "schedule", "training")
_CHOICES = {
    "regularization.weight": "regularization.kind",
    "model.reg_weight": "regularization.kind",
    "training.average_decay": "training.average",
    "training.average_start": "training.average",
}


def known_class(name: str) -> type[Model] | type[Baseline] | None:
    """The class of a model, of the library or named by the user in this process; None for any other name."""
    kind = MODELS[name] if name in MODELS else user_classes.find(name)
    return kind if kind is not None and issubclass(kind, (Model, Baseline)) else None


def model_defaults(kind: type[Model] | type[Baseline] | None) -> dict[str, Option]:
    """What a class has in ``DEFAULTS``; nothing for a baseline.

    Raises:
        ValueError: it is no mapping from dotted names of settings that a model can have defaults of.
    """
    if kind is None or not issubclass(kind, Model):
        return {}
    defaults: object = kind.DEFAULTS
    if not isinstance(defaults, Mapping):
        raise ValueError(
            f'{kind.__name__}.DEFAULTS must be a mapping such as {{"optimizer.lr": 0.003}}, but is {defaults!r}'
        )
    for name in defaults:
        group, dot, setting = name.partition(".") if isinstance(name, str) else ("", "", "")
        if group not in GROUPS or not dot or not setting or "." in setting or name == "model.name":
            raise ValueError(
                f"{kind.__name__}.DEFAULTS has {name!r}, but a name is that of a setting in one of the groups "
                f"{', '.join(GROUPS)}, such as optimizer.lr"
            )
    return {name: plain_value(value) for name, value in defaults.items()}


def open_defaults(experiment: Experiment, defaults: Mapping[str, Option]) -> dict[str, Option]:
    """The defaults of a model whose settings the user has left open; none if the experiment is complete."""
    if experiment.complete:
        return {}
    return {name: value for name, value in defaults.items() if _is_open(experiment, name)}


def with_layer(experiment: Experiment, defaults: Mapping[str, Option]) -> Experiment:
    """The experiment with defaults that were left open put in.

    Raises:
        ValueError: a setting of a group without names is unknown, or has a value of the wrong type or out of range.
    """
    tree: dict[str, dict[str, Any]] = {}
    for name, value in defaults.items():
        group, _, setting = name.partition(".")
        tree.setdefault(group, {})[setting] = value
    return experiment.replace(**{group: _filled(experiment, group, values) for group, values in tree.items()})


def _filled(experiment: Experiment, group: str, values: Mapping[str, Any]) -> Component | Config:
    before: Component | Config = getattr(experiment, group)
    if isinstance(before, Component):
        options = {name: value for name, value in values.items() if name != "name"}
        return Component(values.get("name", before.name), {**options, **before.options}, named=before.named)
    return validate(type(before), {**stated_settings(before), **values}, group)


def _is_open(experiment: Experiment, name: str) -> bool:
    if name in _CHOICES and not _is_open(experiment, _CHOICES[name]):
        return False
    group, _, setting = name.partition(".")
    settings = getattr(experiment, group)
    if not isinstance(settings, Component):
        return setting not in settings.model_fields_set
    if group == "sampling" and experiment.loss.named:
        return False
    if settings.named and group != "model":
        return False
    return not isinstance(settings.settings, Config) and setting not in settings.options


def defaults_sentence(taken: Mapping[str, Option]) -> str:
    """One line on which settings of an experiment are the model's own measured defaults; empty if none is."""
    if not taken:
        return ""
    listed = ", ".join(f"{name} = {json.dumps(value)}" for name, value in taken.items())
    return f"defaults of the model, which were measured and hold where nothing else is stated: {listed}"
