"""How a model or strategy of the user's own must be built, and what to change where it is not."""

from __future__ import annotations

import inspect
from dataclasses import is_dataclass
from typing import Any, get_origin, get_type_hints

from flatrec.models.base import Baseline, Model, ModelConfig
from flatrec.utils.messages import raised

FORMS = {
    "model": "class Config(ModelConfig): embedding_dim: int = 64, and "
    "def __init__(self, dataset: Dataset, config: Config | None = None)",
    "strategy": "def __init__(self, *, rho: float = 0.1), or a dataclass(kw_only=True, eq=False)",
}
_ADVICE = {
    "model": "a model takes the data set and its settings, an object of its class Config",
    "strategy": "a strategy takes settings by keyword, each with a type and a default",
}
_RESERVED = "name"  # what settings call the class itself
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_SEVERAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check_form(kind: type, what: str) -> None:
    """Make sure that a class can be built from settings.

    Args:
        kind: the class.
        what: ``model`` or ``strategy``.

    Raises:
        ValueError: it is abstract, or its constructor has another form.
    """
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
        raise ValueError(f"{kind.__name__} could not be built: it is abstract; define {missing}")
    if issubclass(kind, (Model, Baseline)):
        _check_model(kind)
    else:
        _check_parameters(kind, what)
        _check_types(kind, what)


def _parameters(kind: type) -> list[inspect.Parameter]:
    return list(inspect.signature(kind).parameters.values())


def _fault(kind: type, what: str, fault: str) -> ValueError:
    shown = ", ".join(map(str, _parameters(kind)))
    return ValueError(f"the constructor of {kind.__name__} {fault}: ({shown}); {_ADVICE[what]}: {FORMS[what]}")


def _check_model(kind: type[Model] | type[Baseline]) -> None:
    parameters = _parameters(kind)
    positional = [one for one in parameters if one.kind in _POSITIONAL]
    if not positional:
        raise _fault(kind, "model", "takes no data set")
    if len(positional) < 2 or positional[1].name != "config":
        raise _fault(kind, "model", "takes no config after the data set")
    if len(parameters) > 2:
        raise _fault(kind, "model", f"takes {parameters[2].name!r} beside its config, which nothing sets")
    config: object = kind.Config
    if not (inspect.isclass(config) and issubclass(config, ModelConfig)):
        raise ValueError(
            f"{kind.__name__}.Config must be a class derived from flatrec.models.ModelConfig, but is {config!r}; write "
            "class Config(ModelConfig)"
        )
    try:
        config.model_rebuild()
    except Exception as error:  # whatever evaluating a stranger's annotations raises
        raise ValueError(
            f"the types of {kind.__name__}.Config cannot be read: {raised(error)}; import what they name when the "
            "module runs, not under TYPE_CHECKING alone"
        ) from error
    _check_fields(kind, config)


def _check_fields(kind: type, config: type[ModelConfig]) -> None:
    for name, one in config.model_fields.items():
        if name == _RESERVED:
            raise ValueError(
                f"{kind.__name__}.Config calls a setting {_RESERVED!r}, as the class itself is called; give it "
                "another name"
            )
        if one.is_required():
            raise ValueError(
                f"{kind.__name__}.Config gives no default to {name!r}; write {name}: int = 64, for example"
            )
        _check_storable(f"{kind.__name__}.Config", f"model.{name}", one.annotation, one.default)


def _check_parameters(kind: type, what: str) -> None:
    parameters = _parameters(kind)
    if any(one.kind in _SEVERAL for one in parameters):
        raise _fault(kind, what, "takes settings that it does not name")
    if any(one.name == _RESERVED for one in parameters):
        raise _fault(kind, what, f"calls a setting {_RESERVED!r}, as the class itself is called; give it another name")


def _check_types(kind: type, what: str) -> None:
    hints = _hints(kind)
    for one in _parameters(kind):
        if one.default is inspect.Parameter.empty:
            continue
        if one.name not in hints:
            raise ValueError(
                f"{kind.__name__}: the setting {one.name!r} has no type, so that --set {what}.{one.name}=... cannot be "
                f"checked; give it one, such as {one.name}: {type(one.default).__name__} = {one.default!r}"
            )
        _check_storable(kind.__name__, f"{what}.{one.name}", hints[one.name], one.default)


def _check_storable(owner: str, setting: str, hint: object, default: object) -> None:
    name = setting.partition(".")[2]
    if hint is list or get_origin(hint) is list:
        raise ValueError(
            f"{owner}: the type of {name!r} must be a tuple, but is {_shown(hint)}; write "
            f"{name}: tuple[int, ...] = (64, 64), which --set {setting}=[8,8] sets"
        )
    if not _storable(default):
        raise ValueError(
            f"{owner}: the default of {name!r} must be a number, true, false, a string, a tuple of "
            f"these or None, so that a run folder can hold it, but is of type {type(default).__name__}"
        )


def _hints(kind: type) -> dict[str, Any]:
    try:
        return get_type_hints(kind if is_dataclass(kind) else kind.__init__)  # type: ignore[misc]
    except Exception as error:  # whatever evaluating a stranger's annotations raises
        raise ValueError(
            f"the types of the constructor of {kind.__name__} cannot be read: {raised(error)}; import what they "
            "name when the module runs, not under TYPE_CHECKING alone"
        ) from error


def _storable(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_storable, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _shown(hint: object) -> str:
    return hint.__name__ if hint is list and isinstance(hint, type) else str(hint)
