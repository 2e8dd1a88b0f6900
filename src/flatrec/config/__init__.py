"""Settings of an experiment: typed, frozen, read from and written to TOML, unknown keys refused."""

from flatrec.config.base import Config, SettingError, validate
from flatrec.config.experiment import (
    AMR,
    DEFAULT_METRICS,
    MDVT,
    Component,
    Evaluation,
    Experiment,
    Option,
    Options,
    Regularization,
    Training,
    settings,
)
from flatrec.config.generated import config_of, instantiate
from flatrec.config.split import SplitMethod, SplitSettings
from flatrec.config.toml import assignment, changed, nested, read, toml_tree, write

__all__ = [
    "AMR",
    "DEFAULT_METRICS",
    "MDVT",
    "Component",
    "Config",
    "Evaluation",
    "Experiment",
    "Option",
    "Options",
    "Regularization",
    "SettingError",
    "SplitMethod",
    "SplitSettings",
    "Training",
    "assignment",
    "changed",
    "config_of",
    "instantiate",
    "nested",
    "read",
    "settings",
    "toml_tree",
    "validate",
    "write",
]
