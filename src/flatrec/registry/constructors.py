"""How a model or strategy of the user's own must be built, and what to change where it is not."""

from __future__ import annotations

import inspect
from typing import get_origin

from flatrec.config import Config, config_of
from flatrec.config.generated import type_hints
from flatrec.models.base import Baseline, Model, ModelConfig
from flatrec.utils.messages import raised

FORMS = {
    "model": (
        "a model takes the data set and its settings, an object of its class Config: "
        "class Config(ModelConfig): embedding_dim: int = 64, and "
        "def __init__(self, dataset: Dataset, config: Config | None = None)"
    ),
    "strategy": (
        "a strategy takes settings by keyword, each with a type and a default: "
        "def __init__(self, *, rho: float = 0.1), or a dataclass(kw_only=True, eq=False)"
    ),
}
_RESERVED = ("name", *dir(Config))  # what settings call the class itself, and what every class of settings has
_RESERVED_OF_STRATEGIES = ("seed", "inner", "kappa")  # the run's seed, and the settings of the mixed form


def settings_class(kind: type) -> type[Config]:
    """The class of settings of a model, baseline or strategy."""
    return kind.Config if issubclass(kind, (Model, Baseline)) else config_of(kind)


def check_form(kind: type, what: str) -> None:
    """Make sure that a class can be built from settings.

    Raises:
        ValueError: it is abstract, its constructor has another form, or a run folder could not hold its settings.
    """
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
        raise ValueError(f"{kind.__name__} could not be built: it is abstract; define {missing}")
    if issubclass(kind, (Model, Baseline)):
        _check_model(kind)
    else:
        _check_strategy(kind)
    _check_settings(kind, what)


def _check_model(kind: type[Model | Baseline]) -> None:
    parameters = list(inspect.signature(kind).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [one.name for one in parameters if one.kind in positional]
    if not names:
        raise _wrong_form(kind, "model", "takes no data set")
    if names[1:2] != ["config"]:
        raise _wrong_form(kind, "model", "takes no config after the data set")
    if len(parameters) > 2:
        raise _wrong_form(kind, "model", f"takes {parameters[2].name!r} beside its config, which nothing sets")
    config: object = kind.Config
    if not (isinstance(config, type) and issubclass(config, ModelConfig)):
        raise ValueError(
            f"{kind.__name__}.Config must be a class derived from flatrec.models.ModelConfig, but is {config!r}; write "
            "class Config(ModelConfig)"
        )
    for parent in kind.__mro__[1:]:
        if issubclass(parent, (Model, Baseline)) and not issubclass(config, parent.Config):
            raise ValueError(
                f"{kind.__name__}.Config must be derived from {parent.__name__}.Config, whose settings "
                f"{parent.__name__} reads; write class Config({parent.__name__}.Config)"
            )
    try:
        config.model_rebuild()
    except Exception as error:  # whatever evaluating a stranger's annotations raises
        raise _unreadable_types(kind, error) from error


def _check_strategy(kind: type) -> None:
    try:
        hints = type_hints(kind)
    except Exception as error:  # whatever evaluating a stranger's annotations raises
        raise _unreadable_types(kind, error) from error
    for one in inspect.signature(kind).parameters.values():
        if one.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            raise _wrong_form(kind, "strategy", "takes settings that it does not name")
        if one.default is inspect.Parameter.empty:
            raise _wrong_form(kind, "strategy", f"gives no default to {one.name!r}")
        if one.name not in hints:
            raise ValueError(
                f"{kind.__name__}: the setting {one.name!r} has no type, so that --set strategy.{one.name}=... cannot "
                f"be checked; give it one, such as {one.name}: {type(one.default).__name__} = {one.default!r}"
            )


def _check_settings(kind: type, what: str) -> None:
    for name, field in settings_class(kind).model_fields.items():
        if name in _RESERVED or (what == "strategy" and name in _RESERVED_OF_STRATEGIES):
            raise ValueError(f"{kind.__name__} calls a setting {name!r}, which is reserved; give it another name")
        if field.is_required():
            raise ValueError(
                f"{kind.__name__}.Config gives no default to {name!r}; write {name}: int = 64, for example"
            )
        hint = field.annotation
        if hint is list or get_origin(hint) is list:
            raise ValueError(
                f"{kind.__name__}: the type of {name!r} must be a tuple, but is "
                f"{'list' if hint is list else hint}; write {name}: tuple[int, ...] = (64, 64), which "
                f"--set {what}.{name}=[8,8] sets"
            )
        if not _storable(field.default):
            raise ValueError(
                f"{kind.__name__}: the default of {name!r} must be a number, true, false, a string, a tuple of "
                f"these or None, so that a run folder can hold it, but is of type {type(field.default).__name__}"
            )


def _wrong_form(kind: type, what: str, fault: str) -> ValueError:
    shown = ", ".join(map(str, inspect.signature(kind).parameters.values()))
    return ValueError(f"the constructor of {kind.__name__} {fault}: ({shown}); {FORMS[what]}")


def _unreadable_types(kind: type, error: Exception) -> ValueError:
    return ValueError(
        f"the types of the settings of {kind.__name__} cannot be read: {raised(error)}; import what they name when the "
        "module runs, not under TYPE_CHECKING alone"
    )


def _storable(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_storable, value))
    return value is None or isinstance(value, (bool, int, float, str))
