"""What a condition says, as a tree."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Name:
    """A column."""

    text: str
    position: int  # in the condition, counted from 1


@dataclass(frozen=True)
class Value:
    """A number, a text, or true or false."""

    content: Fraction | str | bool
    written: str  # as it stands in the condition
    position: int


@dataclass(frozen=True)
class Comparison:
    """A column compared with one value."""

    column: Name
    operator: Operator
    value: Value


@dataclass(frozen=True)
class Membership:
    """A column whose value is one of a list."""

    column: Name
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Containment:
    """A column whose list has an element, or whose text has a part."""

    column: Name
    value: Value


@dataclass(frozen=True)
class Missing:
    """A column without a value."""

    column: Name


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    condition: Condition


@dataclass(frozen=True)
class All:
    """Conditions joined by ``and``."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf:
    """Conditions joined by ``or``."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Membership | Containment | Missing | Not | All | AnyOf


def names(condition: Condition) -> list[Name]:
    """Return the columns that a condition reads, as often as it reads them, in the order of the text."""
    if isinstance(condition, Not):
        return names(condition.condition)
    if isinstance(condition, (All, AnyOf)):
        return [name for part in condition.conditions for name in names(part)]
    return [condition.column]
