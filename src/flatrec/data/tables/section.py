"""One table of a TOML description, whose values are checked when they are read."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from flatrec.config.old_words import DATASET_KEYS, new_name
from flatrec.data.tables.text import Layout
from flatrec.utils.messages import clipped, shortlist

LAYOUT_KEYS = ("separator", "quote", "encoding", "decimal")
Choice = TypeVar("Choice", bound=str)


class Section:
    """A table of a description.

    Args:
        table: its keys and values.
        keys: the keys that it may have; None if it may have any.
        where: what messages call it.
        folder: the folder to which its file names are relative.

    Raises:
        ValueError: there is an unknown key.
    """

    def __init__(self, table: Mapping[str, object], keys: Collection[str] | None, where: str, folder: Path) -> None:
        unknown = sorted(set(table).difference(table if keys is None else keys))
        if unknown and keys is not None:
            new = new_name(unknown[0], keys, DATASET_KEYS) or f"; the keys are {shortlist(keys, 40)}"
            raise ValueError(f"{where} has the unknown key {clipped(unknown[0])!r}{new}")
        self.table, self.where, self.folder = table, where, folder

    def text(self, key: str) -> str | None:
        """Return a text, or None if the key is left out."""
        value = self.table.get(key)
        if value is not None and not (isinstance(value, str) and value):
            raise self.wrong(key, "a text in quotes")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the texts of a list; none if the key is left out."""
        value = self.table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
            raise self.wrong(key, 'a list of texts, such as ["a", "b"]')
        return tuple(value)

    def choice(self, key: str, choices: Sequence[Choice]) -> Choice:
        """Return one of the choices; the first one if the key is left out."""
        value = self.table.get(key, choices[0])
        chosen = next((choice for choice in choices if choice == value), None)
        if chosen is None:
            raise self.wrong(key, " or ".join(f'"{choice}"' for choice in choices))
        return chosen

    def flag(self, key: str) -> bool:
        """Return true or false; false if the key is left out."""
        value = self.table.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def count(self, key: str, default: int) -> int:
        """Return a whole number of at least 0."""
        value = self.table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.wrong(key, "a whole number of at least 0")
        return value

    def number(self, key: str) -> float | None:
        """Return a finite number, or None if the key is left out."""
        value = self.table.get(key)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise self.wrong(key, "a number")
        return float(value)

    def numbers(self) -> dict[str, float]:
        """Return all values of the table, which must be finite numbers."""
        return {key: number for key in self.table if (number := self.number(key)) is not None}

    def file(self, key: str) -> Path:
        """Return the path of a file that must be named."""
        name = self.text(key)
        if name is None:
            raise ValueError(f'{self.where} lacks the key {key!r}; add {key} = "the name of a file"')
        return self.folder / name

    def layout(self) -> Layout:
        """Return how the text table of the section is written."""
        separator, quote = self._mark("separator"), self._mark("quote")
        encoding, decimal = self.text("encoding"), self._mark("decimal")
        try:
            return Layout(separator, quote, encoding, "." if decimal is None else decimal)
        except ValueError as error:
            raise ValueError(f"{self.where}: {error}") from None

    def section(self, key: str, keys: Collection[str] | None) -> Section | None:
        """Return a table inside this one, or None if the key is left out."""
        value = self.table.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(key, f"a table, headed [{key}]")
        return Section(value, keys, f"{self.where} [{key}]", self.folder)

    def wrong(self, key: str, expected: str) -> ValueError:
        """Return the error for a value of the wrong kind."""
        return ValueError(f"{self.where} has {key} = {clipped(repr(self.table[key]), 100)}; give it {expected}")

    def _mark(self, key: str) -> str | None:
        value = self.table.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, "a text in quotes, of one character such as ';'")
        return value
