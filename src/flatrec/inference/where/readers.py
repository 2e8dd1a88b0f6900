"""The values of a condition, read as what a column holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from flatrec.inference.where.refusal import refusal
from flatrec.inference.where.tree import Value
from flatrec.utils.messages import clipped, quoted
from flatrec.utils.moments import EPOCH, parse_date_time


@dataclass(frozen=True)
class Readers:
    """Functions that read a value for one column, or refuse it.

    Args:
        column: its name, for messages.
    """

    column: str

    def number(self, value: Value) -> Fraction:
        """Return a number, exactly as it is written.

        Raises:
            ValueError: the value is a text, or true or false.
        """
        if not isinstance(value.content, Fraction):
            raise self._misfit(value, "numbers", "a number without quotation marks, such as 30")
        return value.content

    def text(self, value: Value) -> str:
        """Return a text.

        Raises:
            ValueError: the value is a number, or true or false.
        """
        if not isinstance(value.content, str):
            raise self._misfit(value, "texts", 'a text in quotation marks, such as "30"')
        return value.content

    def truth(self, value: Value) -> bool:
        """Return true or false.

        Raises:
            ValueError: the value is a number or a text.
        """
        if not isinstance(value.content, bool):
            raise self._misfit(value, "true and false", "true or false, without quotation marks")
        return value.content

    def seconds(self, value: Value) -> Fraction:
        """Return the seconds since 1970 of a date, or date and time; without a zone it is in UTC.

        Raises:
            ValueError: the value is no text, or the text is no date.
        """
        if not isinstance(value.content, str):
            raise self._misfit(value, "dates", 'a date in quotation marks, such as "2024-03-01"')
        try:
            moment = parse_date_time(value.content, f"a value of column {clipped(self.column)!r}")
        except ValueError as error:
            raise refusal(value.position, str(error)) from None
        return Fraction((moment - EPOCH) // timedelta(microseconds=1), 10**6)

    def index(self, value: Value, categories: list[str]) -> Fraction:
        """Return the index of a text in a list.

        Raises:
            ValueError: the value is no text, or not in the list.
        """
        text = self.text(value)
        if text not in categories:
            raise refusal(
                value.position,
                f"column {clipped(self.column)!r} is ordered as {quoted(categories)}, where {clipped(text)!r} is not",
            )
        return Fraction(categories.index(text))

    def _misfit(self, value: Value, held: str, advice: str) -> ValueError:
        return refusal(
            value.position,
            f"column {clipped(self.column)!r} has {held}, not what {clipped(value.written)} is; write {advice}",
        )
