"""Classes of settings from constructors of classes that do not know pydantic, such as strategies and optimizers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from dataclasses import is_dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar, cast, get_type_hints

from pydantic import ConfigDict, create_model

from flatrec.config.base import Config, validate

T = TypeVar("T")


class Generated(Config):
    """The base of generated classes, whose types may be any class, such as a tensor.

    ``SOURCE`` is the class whose docstring says what the settings mean.
    """

    SOURCE: ClassVar[type] = object
    model_config = ConfigDict(arbitrary_types_allowed=True)


def config_of(kind: type, skip: int = 0) -> type[Config]:
    """The settings of a class: its constructor's arguments but for ``skip`` leading ones, with types and defaults."""
    return _generated(cast("Hashable", kind), skip)


@cache
def _generated(kind: type, skip: int) -> type[Config]:
    hints = type_hints(kind)
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(kind).parameters.values())[skip:]:
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    generated: type[Generated] = create_model(f"{kind.__name__}Config", __base__=Generated, **fields)
    generated.SOURCE = kind
    return generated


def type_hints(kind: type) -> dict[str, Any]:
    """The types of a constructor's arguments, with their ranges."""
    # A dataclass inherits fields whose annotations only make sense in the module that declares them.
    source: Callable[..., Any] = kind if takes_fields(kind) else kind.__init__  # type: ignore[misc]
    return get_type_hints(source, include_extras=True)


def takes_fields(kind: type) -> bool:
    """Return True if the constructor of a class takes its fields: a dataclass without an ``__init__`` of its own."""
    return is_dataclass(kind) and ("__init__" not in vars(kind) or "__dataclass_params__" in vars(kind))


def instantiate(kind: type[T], settings: object, group: str) -> T:
    """An object of a class whose constructor takes settings alone; messages call these by ``group``.

    Raises:
        ValueError: a setting is unknown or of a wrong type, or the class refuses its value.
    """
    config = validate(config_of(kind), settings, group)
    try:
        return kind(**dict(config))
    except ValueError as error:
        raise ValueError(f"{group}: {error}") from None
