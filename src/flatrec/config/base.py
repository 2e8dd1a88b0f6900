"""The base of every typed class of settings: frozen, unknown names refused, ranges checked, errors in one line."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from flatrec.utils.messages import clipped, unknown


class Config(BaseModel):
    """Settings of one component, such as a model; equal settings compare equal.

    A subclass declares one field for each setting, with its type and default. A number's range is part of its type, as
    in :mod:`flatrec.utils.ranges`; the meaning of a field stands in ``Args`` of the subclass's docstring.

    Example:
        >>> from flatrec.utils.ranges import PositiveInt
        >>> class Example(Config):
        ...     embedding_dim: PositiveInt = 64
        >>> Example(embedding_dim=8).embedding_dim
        8

    Raises:
        ValueError: a name is unknown, or a value is of another type or out of range; one line says what to write.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, arbitrary_types_allowed=False)

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - checked against the fields
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ValueError(one_line(error, tuple(type(self).model_fields))) from None


def one_line(error: ValidationError, names: tuple[str, ...]) -> str:
    """The first error of a validation in one line.

    Args:
        error: what pydantic found.
        names: the settings that there are.
    """
    first = error.errors(include_url=False)[0]
    if first["type"] == "extra_forbidden":
        return unknown("setting", str(first["loc"][-1]), names)
    place = _place(first["loc"])
    if first["type"] == "value_error":
        return f"{place} {first['ctx']['error']}".lstrip()
    return f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}, but it is {clipped(repr(first['input']), 100)}"


def _place(parts: tuple[int | str, ...]) -> str:
    """A setting as one writes it, such as ``hidden_dims[1]``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
