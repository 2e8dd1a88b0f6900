"""How a model or strategy of somebody's own must be built, and what to change where it is not."""

from __future__ import annotations

import inspect
from dataclasses import is_dataclass
from typing import Any, get_origin, get_type_hints

from flatrec.config import Options, arguments
from flatrec.utils.messages import raised

FORMS = {
    "model": "def __init__(self, dataset: Dataset, *, dim: int = 64, layers: int = 2)",
    "strategy": "def __init__(self, *, rho: float = 0.1), or a dataclass(kw_only=True, eq=False)",
}
_ADVICE = {
    "model": "a model takes the data set first, then settings by keyword, each with a type and a default",
    "strategy": "a strategy takes settings by keyword, each with a type and a default",
}
_RESERVED = "name"  # what settings call the class itself


def settings_of(kind: type, given: Options, what: str = "model") -> dict[str, Any]:
    """All settings of a model or strategy, those given and the defaults of the others.

    Args:
        kind: the class.
        given: values by name.
        what: ``model``, whose first argument is the data set, or ``strategy``.

    Raises:
        ValueError: the class is abstract, its constructor has another form, or a setting is unknown or of a wrong type.
    """
    check_form(kind, what)
    parameters = _settings(kind, what)
    needed = [one.name for one in parameters if one.default is inspect.Parameter.empty and one.name not in given]
    if needed:
        raise _fault(kind, what, f"gives no default to {' and '.join(map(repr, needed))}")
    return arguments(kind, given, what, given=int(what == "model"))


def check_form(kind: type, what: str) -> None:
    """Make sure that a class can be built from settings.

    Raises:
        ValueError: it is abstract, or its constructor has another form.
    """
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
        raise ValueError(f"{kind.__name__} could not be built: it is abstract; define {missing}")
    _check_parameters(kind, what)
    _check_types(kind, what)


def _parameters(kind: type) -> list[inspect.Parameter]:
    return list(inspect.signature(kind).parameters.values())


def _settings(kind: type, what: str) -> list[inspect.Parameter]:
    return _parameters(kind)[int(what == "model") :]


def _check_parameters(kind: type, what: str) -> None:
    parameters, others = _parameters(kind), _settings(kind, what)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if what == "model" and (not parameters or parameters[0].kind not in positional):
        raise _fault(kind, what, "takes no data set")
    if any(one.kind in several for one in others):
        raise _fault(kind, what, "takes settings that it does not name")
    if any(one.name == _RESERVED for one in others):
        raise _fault(kind, what, f"calls a setting {_RESERVED!r}, as the class itself is called; give it another name")


def _fault(kind: type, what: str, fault: str) -> ValueError:
    shown = ", ".join(map(str, _parameters(kind)))
    return ValueError(f"the constructor of {kind.__name__} {fault}: ({shown}); {_ADVICE[what]}: {FORMS[what]}")


def _check_types(kind: type, what: str) -> None:
    hints = _hints(kind)
    for one in _settings(kind, what):
        if one.default is not inspect.Parameter.empty and one.name not in hints:
            raise ValueError(
                f"{kind.__name__}: the setting {one.name!r} has no type, so that --set {what}.{one.name}=... cannot be "
                f"checked; give it one, such as {one.name}: {type(one.default).__name__} = {one.default!r}"
            )
        hint = hints.get(one.name)
        if hint is list or get_origin(hint) is list:
            raise ValueError(
                f"{kind.__name__}: the type of {one.name!r} must be a tuple, but is {_shown(hint)}; write "
                f"{one.name}: tuple[int, ...] = (64, 64), which --set {what}.{one.name}=[8,8] sets"
            )
        if one.default is not inspect.Parameter.empty and not _storable(one.default):
            raise ValueError(
                f"{kind.__name__}: the default of {one.name!r} must be a number, true, false, a string, a tuple of "
                f"these or None, so that a run folder can hold it, but is of type {type(one.default).__name__}"
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
