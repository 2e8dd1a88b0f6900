"""How a model of somebody's own must be built, and what to change where it is not."""

from __future__ import annotations

import inspect
from typing import Any, get_origin, get_type_hints

from flatrec.config import Options, arguments
from flatrec.models import Model
from flatrec.testing.messages import one_line

FORM = "def __init__(self, dataset: Dataset, *, dim: int = 64, layers: int = 2)"
_ADVICE = f"a model takes the data set first, then settings by keyword, each with a type and a default: {FORM}"


def settings_of(kind: type[Model], given: Options) -> dict[str, Any]:
    """All settings of a model, those given and the defaults of the others.

    Raises:
        ValueError: the class is abstract, its constructor has another form, or a setting is unknown or of a wrong type.
    """
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(kind.__abstractmethods__))
        raise ValueError(f"{kind.__name__} could not be built: it is abstract; define {missing}")
    _check_form(kind, given)
    _check_annotations(kind)
    return arguments(kind, given, "model", given=1)


def _check_form(kind: type[Model], given: Options) -> None:
    parameters = list(inspect.signature(kind).parameters.values())
    others = parameters[1:]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if not parameters or parameters[0].kind not in positional:
        fault = "takes no data set"
    elif any(one.kind in several for one in others):
        fault = "takes settings that it does not name"
    else:
        needed = [one.name for one in others if one.default is inspect.Parameter.empty and one.name not in given]
        fault = f"gives no default to {' and '.join(map(repr, needed))}" if needed else ""
    if fault:
        shown = ", ".join(map(str, parameters))
        raise ValueError(f"the constructor of {kind.__name__} {fault}: ({shown}); {_ADVICE}")


def _check_annotations(kind: type[Model]) -> None:
    try:
        hints = get_type_hints(kind.__init__)
    except Exception as error:  # whatever evaluating a stranger's annotations raises
        raise ValueError(
            f"the types of the constructor of {kind.__name__} cannot be read: {one_line(error)}; import what they "
            "name when the module runs, not under TYPE_CHECKING alone"
        ) from error
    for name, hint in hints.items():
        if hint is list or get_origin(hint) is list:
            raise ValueError(
                f"{kind.__name__}: the type of {name!r} must be a tuple, but is {_shown(hint)}; write "
                f"{name}: tuple[int, ...] = (64, 64), which --set model.{name}=[8,8] sets"
            )


def _shown(hint: object) -> str:
    return hint.__name__ if hint is list and isinstance(hint, type) else str(hint)
