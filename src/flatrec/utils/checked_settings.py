"""Settings that are fields of a dataclass: each is checked against the type of its field, its range or its choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from torch import Tensor

from flatrec.utils.ranges import Range

FiniteFloat: TypeAlias = Annotated[float, Range()]
Decay: TypeAlias = Annotated[float, Range(ge=0, lt=1)]
Probability: TypeAlias = Annotated[float, Range(gt=0, le=1)]


def checked_settings(owner: object) -> Mapping[str, object]:
    """Return the settings of a dataclass by name, numbers of any kind as Python's.

    Raises:
        TypeError: a setting is not a number, or not a whole number, where one is expected.
        ValueError: a setting is out of range or not among its choices, or the annotations cannot be read.
    """
    settings = [setting.name for setting in fields(owner) if setting.init] if is_dataclass(owner) else []
    if not settings:
        return {}
    try:
        hints = get_type_hints(type(owner), include_extras=True)
    except NameError as error:
        raise ValueError(
            f"the types of {type(owner).__name__}'s fields cannot be read: {error}; import what they name at the top "
            "of the module, not under TYPE_CHECKING alone"
        ) from None
    return {name: checked_setting(name, hints[name], getattr(owner, name)) for name in settings}


def store_checked_settings(owner: object) -> None:
    """Replace the settings of a dataclass, frozen or not, by their checked values; for its ``__post_init__``.

    Raises:
        TypeError: a setting is not a number, or not a whole number, where one is expected.
        ValueError: a setting is out of range or not among its choices, or the annotations cannot be read.
    """
    for name, value in checked_settings(owner).items():
        object.__setattr__(owner, name, value)


def python_number(value: object) -> object:
    """Return a number of NumPy or a tensor of no dimension as Python's number; any other value as it is."""
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def checked_setting(name: str, hint: Any, value: object) -> object:  # noqa: ANN401 - a type of any form
    """Return a setting as a value of its type; types other than numbers and choices are not checked.

    Raises:
        TypeError: it is not a number, or not a whole number, where one is expected.
        ValueError: it is out of range or not among the choices.
    """
    value = python_number(value)
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    choices = [choice for option in options if get_origin(option) is Literal for choice in get_args(option)]
    if any(type(value) is type(choice) and value == choice for choice in choices):
        return value
    numbers = [(kind, limits) for kind, limits in map(_number_type, options) if kind is not None]
    for kind, limits in numbers:
        if isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool):
            for limit in limits:
                if wrong := limit.error(kind(value)):
                    raise ValueError(f"{name} {wrong}, but is {value}")
            return kind(value)
    if len(numbers) + sum(get_origin(option) is Literal for option in options) < len(options):
        return value  # another type, which is not checked here
    expected = ["a whole number" if kind is int else "a number" for kind, _ in numbers]
    expected += ["one of " + ", ".join(map(str, choices))] if choices else []
    raise (ValueError if choices else TypeError)(f"{name} must be {' or '.join(expected)}, but is {value!r}")


def _number_type(hint: Any) -> tuple[type[int] | type[float] | None, tuple[Range, ...]]:  # noqa: ANN401
    kind, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    return kind if kind in (int, float) else None, tuple(extra for extra in extras if isinstance(extra, Range))
