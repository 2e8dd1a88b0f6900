"""Types of settings that say which numbers are allowed: checked where a setting enters, printed in lists of settings.

This module imports nothing but the standard library, so that strategies can use it where only torch is installed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

MAX_LAYERS = 100  # deeper than any graph is wide: a slip, which would train for ever
MAX_COUNT = 2**31 - 1
MAX_FLOAT = 3.4e38  # what float32 holds


@dataclass(frozen=True, kw_only=True)
class Range:
    """The numbers that a setting may be. NaN lies in no range; infinity only in one that names it.

    Args:
        ge: the least value, which is allowed.
        gt: a bound that the value must exceed.
        le: the largest value, which is allowed.
        lt: a bound that the value must stay below.

    Example:
        >>> Range(ge=0, lt=1).error(1.0), Range(ge=0, lt=1).error(0.5)
        ('must lie in [0, 1)', None)
    """

    ge: int | float | None = None
    gt: int | float | None = None
    le: int | float | None = None
    lt: int | float | None = None

    def error(self, value: int | float) -> str | None:
        """What a value fails, such as ``must be at least 1``; None for a value in the range."""
        if isinstance(value, float) and math.isnan(value):
            return f"must {self}"
        if self.le is None and self.lt is None and value > MAX_FLOAT:
            return f"must be {'finite' if math.isinf(value) else f'at most {MAX_FLOAT}'}"
        low = (self.ge is None or value >= self.ge) and (self.gt is None or value > self.gt)
        high = (self.le is None or value <= self.le) and (self.lt is None or value < self.lt)
        if low and high:
            return None
        return f"must {self._interval() or 'be ' + (self._highest() if low else self._lowest())}"

    def check(self, value: Any) -> Any:  # noqa: ANN401 - a number, given back as it is
        """The value, if it lies in the range.

        Raises:
            ValueError: it does not.
        """
        if wrong := self.error(value):
            raise ValueError(f"{wrong}, but is {shown(value)}")
        return value

    @property
    def text(self) -> str:
        """The range for a list of settings, such as ``at least 1``; bounds beyond 31 bits are left out."""
        bounds = [
            f"{phrase} {bound}"
            for phrase, bound in (("at least", self.ge), ("above", self.gt), ("at most", self.le), ("below", self.lt))
            if bound is not None and abs(bound) < MAX_COUNT
        ]
        return self._interval().replace("lie in", "in") or " and ".join(bounds)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        from pydantic_core import core_schema  # only where pydantic reads the type

        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __str__(self) -> str:
        bounds = " and ".join(filter(None, (self._lowest(), self._highest())))
        return self._interval() or f"be {bounds or 'finite'}"

    def _lowest(self) -> str:
        return f"at least {self.ge}" if self.ge is not None else f"above {self.gt}" if self.gt is not None else ""

    def _highest(self) -> str:
        return f"at most {self.le}" if self.le is not None else f"below {self.lt}" if self.lt is not None else ""

    def _interval(self) -> str:
        """Both bounds at once, where they are near each other."""
        low = self.ge if self.ge is not None else self.gt
        high = self.le if self.le is not None else self.lt
        if low is None or high is None or high >= MAX_LAYERS:
            return ""
        return f"lie in {'[' if self.ge is not None else '('}{low}, {high}{']' if self.le is not None else ')'}"


def shown(number: int | float) -> str:
    """A number in a message: of a very long one, how many digits it has."""
    if isinstance(number, float) or abs(number) < 10**30:
        return str(number)
    return f"one of about {int(number.bit_length() * math.log10(2))} digits"


PositiveInt: TypeAlias = Annotated[int, Range(ge=1, le=MAX_COUNT)]
NonNegativeInt: TypeAlias = Annotated[int, Range(ge=0, le=MAX_COUNT)]
LayerCount: TypeAlias = Annotated[int, Range(ge=0, le=MAX_LAYERS)]
PositiveLayerCount: TypeAlias = Annotated[int, Range(ge=1, le=MAX_LAYERS)]
PositiveFloat: TypeAlias = Annotated[float, Range(gt=0)]
NonNegativeFloat: TypeAlias = Annotated[float, Range(ge=0)]
Fraction: TypeAlias = Annotated[float, Range(ge=0, le=1)]
DropoutRate: TypeAlias = Annotated[float, Range(ge=0, lt=1)]
