"""The base of every typed class of settings: frozen, unknown names refused, ranges checked, errors in one line."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from flatrec.config.old_words import unknown_setting
from flatrec.utils.messages import clipped
from flatrec.utils.ranges import MAX_COUNT, MAX_FLOAT, Range, shown

C = TypeVar("C", bound="Config")


class SettingError(ValueError):
    """A setting that is unknown, of another type, or out of range.

    Args:
        name: the setting, such as ``hidden_dims[1]``; empty where the message is about the whole group.
        text: what is wrong, as it follows the name: ``" must be at least 1"`` or ``": unknown setting"``.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}{text}" if name else text.lstrip(": "))
        self.name, self.text = name, text

    def within(self, group: str) -> SettingError:
        """The same error of a setting in a group."""
        return SettingError(f"{group}.{self.name}" if self.name else group, self.text)


class Config(BaseModel):
    """Settings of one component, such as a model; equal settings compare equal.

    A subclass declares one field for each setting, with its type and default. A number's range is part of its type, as
    in :mod:`flatrec.utils.ranges`; the meaning of a field stands in ``Args`` of the subclass's docstring. A list is
    taken as a tuple, and a mapping as the group of settings that the field holds.

    Example:
        >>> from flatrec.config import Evaluation
        >>> Evaluation(ks=[1, 10]).ks
        (1, 10)

    Raises:
        SettingError: a name is unknown, or a value is of another type or out of range; one line says what to write.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True, protected_namespaces=())

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - checked against the fields
        fields = type(self).model_fields
        for name in values:
            if name not in fields:
                raise SettingError("", f": {unknown_setting(name, list(fields))}")
        prepared = {name: _prepare(name, value, fields[name]) for name, value in values.items()}
        try:
            super().__init__(**prepared)
        except ValidationError as error:
            raise _first_error(error) from None
        for name, value in self:
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, float) and not math.isfinite(number):
                    raise SettingError(name, f" must be finite, but is {number}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings cannot be changed; write config = config.replace({name}={value!r})")

    def as_dict(self) -> dict[str, Any]:
        """Every setting by name, groups of settings as dictionaries."""
        return {name: value.as_dict() if isinstance(value, Config) else value for name, value in self}

    def replace(self: C, **changes: Any) -> C:  # noqa: ANN401 - checked against the fields
        """A copy in which some settings have other values; these count as stated, with those that were before.

        Raises:
            SettingError: as the constructor.
        """
        return type(self)(**{**stated_settings(self), **changes})


def stated_settings(config: Config) -> dict[str, Any]:
    """The settings that were given to the constructor, by name; all others have their defaults."""
    return {name: value for name, value in config if name in config.model_fields_set}


def validate(kind: type[C], values: object, group: str) -> C:
    """The settings of a group, such as ``training``, from a mapping as read from a file; messages name the group.

    Raises:
        SettingError: ``values`` is no mapping, a name is unknown, or a value is of another type or out of range.
    """
    if not isinstance(values, Mapping):
        raise SettingError(group, f" is a group of settings ({', '.join(kind.model_fields)}), but is {values!r}")
    try:
        return kind(**values)
    except SettingError as error:
        raise error.within(group) from None


def _prepare(name: str, value: object, field: FieldInfo) -> object:
    """A value as pydantic takes it: lists as tuples, mappings as groups of settings, numbers of bounded size."""
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, Config) and not isinstance(value, kind):
        return validate(kind, value, name)
    value = plain_value(value)
    if not any(isinstance(one, Range) for one in field.metadata):
        _check_size(name, value)
    return value


def plain_value(value: object) -> Any:  # noqa: ANN401 - what a setting can hold
    """Lists as tuples, also within lists, and numbers of NumPy as Python's."""
    if isinstance(value, (list, tuple)):
        return tuple(map(plain_value, value))
    if isinstance(value, (bool, int, float)) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _check_size(name: str, value: object) -> None:
    """Refuse numbers that nothing could compute with: counts beyond 32 bits, floats beyond float32."""
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int) and not -MAX_COUNT - 1 <= number <= MAX_COUNT:
            raise SettingError(name, f" must be at most {MAX_COUNT}, with or without a sign, but is {shown(number)}")
        if isinstance(number, float) and MAX_FLOAT < abs(number) < math.inf:
            raise SettingError(name, f" must be at most {MAX_FLOAT}, with or without a sign, but is {number}")


def _first_error(error: ValidationError) -> SettingError:
    """The first setting that is wrong; a type of several alternatives has an error for each of them."""
    errors = error.errors(include_url=False)
    first = errors[0]
    if not first["loc"]:  # from a validator of the whole class
        text = first["ctx"]["error"] if first["type"] == "value_error" else first["msg"]
        return SettingError("", f": {text}")
    setting, *inner = first["loc"]
    name = str(setting) + "".join(f"[{index}]" for index in inner if isinstance(index, int))
    if first["type"] == "missing" and inner:
        return SettingError(str(setting), f" has too few values: {shown(len(first['input']))}")
    if first["type"] == "missing":
        return SettingError(name, " has no default; give it a value")
    if first["type"] == "too_long":
        most, count = first["ctx"]["max_length"], first["ctx"]["actual_length"]
        return SettingError(str(setting), f" must have at most {most} values, but has {count}")
    if first["type"] == "value_error":
        return SettingError(name, f" {first['ctx']['error']}")
    messages = [one["msg"][0].lower() + one["msg"][1:] for one in errors if one["loc"][0] == setting]
    expected = "; or ".join(dict.fromkeys(messages)).replace("a valid tuple", "a list such as [5, 10]")
    return SettingError(name, f": {expected}, but it is {clipped(repr(first['input']), 100)}")
