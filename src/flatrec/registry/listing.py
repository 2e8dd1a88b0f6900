"""Every setting that there is, in groups: those of an experiment, and of each of its components."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flatrec.config import (
    AMR,
    MDVT,
    Component,
    Config,
    Evaluation,
    Experiment,
    Regularization,
    SplitSettings,
    Training,
)
from flatrec.config.description import Setting, describe_settings
from flatrec.losses import LOSSES
from flatrec.models import BASELINES, MODELS
from flatrec.registry.instantiate import Kind, config_class, strategy_names
from flatrec.sampling import SAMPLINGS
from flatrec.training import optimizers, schedules
from flatrec.utils.messages import unknown

GROUPS = (
    "experiment",
    "training",
    "training.amr",
    "training.mdvt",
    "regularization",
    "evaluation",
    "split",
    "model",
    "loss",
    "sampling",
    "strategy",
    "optimizer",
    "schedule",
)
_CLASSES: dict[str, type[Config]] = {
    "experiment": Experiment,
    "training": Training,
    "training.amr": AMR,
    "training.mdvt": MDVT,
    "regularization": Regularization,
    "evaluation": Evaluation,
    "split": SplitSettings,
}


@dataclass(frozen=True)
class SettingsGroup:
    """The settings of one group, or of one model, loss, sampling, strategy, optimizer or schedule."""

    group: str  # one of ``GROUPS``
    name: str  # the model, loss, sampling, strategy, optimizer or schedule; empty for groups without names
    settings: tuple[Setting, ...]  # all of them

    def key(self, setting: Setting) -> str:
        """A setting as ``--set`` takes it, such as ``model.embedding_dim``."""
        return setting.name if self.group == "experiment" else f"{self.group}.{setting.name}"

    def as_dict(self) -> dict[str, Any]:
        """Group, name, and every setting by its dotted name."""
        settings = {self.key(setting): setting.as_dict() for setting in self.settings}
        return {"group": self.group, "name": self.name, "settings": settings}


def setting_groups(what: str | None = None) -> list[SettingsGroup]:
    """The settings of everything, of one group, or of one component, such as a model or a schedule.

    Raises:
        ValueError: there is no such group and no such name.
    """
    groups = list(_all())
    chosen = [one for one in groups if what is None or what in (one.group, one.name)]
    if not chosen:
        assert what is not None
        raise ValueError(unknown("group or name", what, [*GROUPS, *(one.name for one in groups if one.name)]))
    return chosen


def _all() -> Iterator[SettingsGroup]:
    for group, kind in _CLASSES.items():
        settings = describe_settings(kind)
        if group == "experiment":
            settings = tuple(one for one in settings if not isinstance(one.default, Component))
        yield SettingsGroup(group, "", settings)
    names: dict[Kind, list[str]] = {
        "model": [*MODELS, *BASELINES],
        "loss": list(LOSSES),
        "sampling": list(SAMPLINGS),
        "strategy": strategy_names(),
        "optimizer": list(optimizers.names()),
        "schedule": [schedules.CONSTANT, *schedules.names()],
    }
    for component_kind, known in names.items():
        for name in known:
            yield _component(component_kind, name)


def _component(kind: Kind, name: str) -> SettingsGroup:
    return SettingsGroup(kind, name, describe_settings(config_class(kind, name)))
