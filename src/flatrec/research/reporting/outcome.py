"""What a study found, as plain data: tables, figures, sentences, and the runs that failed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import ConfigDict, TypeAdapter, ValidationError

from flatrec.utils.atomic_write import write_text

OUTCOME = "study.json"
_CELL = re.compile(r"(tables\.\d+\.rows\.\d+\.\d+)\.\w+")
DIGITS = 17  # more tell no float from another
Value: TypeAlias = str | float | int | None
Kind: TypeAlias = Literal["text", "number", "percent", "p"]  # percent: a share, 0.031 for 3.1 %
_KNOWN = ConfigDict(extra="forbid")  # for reading: no key but these


@dataclass(frozen=True)
class Column:
    """What the cells of a column are.

    Args:
        name: the heading.
        kind: how cells are written; those that are not text are numbers or None.
        digits: after the point, of a number.

    Raises:
        ValueError: so many digits no number has.
    """

    __pydantic_config__ = _KNOWN

    name: str
    kind: Kind = "text"
    digits: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.digits <= DIGITS:
            raise ValueError(f"digits must be 0 to {DIGITS}, but is {self.digits}")


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns.

    Args:
        name: of its files, without ending: lower case, digits and hyphens.
        title: for readers.
        columns: as many as each row has cells.
        rows: None where there is no value.
        note: how to read it, a sentence or two.

    Raises:
        ValueError: a row has another number of cells.
    """

    __pydantic_config__ = _KNOWN

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        if wrong := [row for row in self.rows if len(row) != len(self.columns)]:
            raise ValueError(f"a row of table {self.name} needs {len(self.columns)} cells, but has {len(wrong[0])}")


@dataclass(frozen=True)
class Image:
    """A figure, drawn as ``<name>.png`` and ``<name>.svg`` in the folder ``figures`` beside the outcome.

    Args:
        name: of its files, without ending.
        title: for readers.
        caption: what is seen, and how to read it.
    """

    __pydantic_config__ = _KNOWN

    name: str
    title: str
    caption: str = ""


@dataclass(frozen=True)
class Failure:
    """A run that is missing from the tables, and why in a line."""

    __pydantic_config__ = _KNOWN

    run: str
    error: str


@dataclass(frozen=True)
class Outcome:
    """What a study found.

    Args:
        study: its name, such as ``noise``.
        title: for readers.
        question: what it asks, in a sentence.
        tables: the numbers.
        images: the figures.
        findings: what is significant and what is not, in plain sentences.
        failures: runs that are missing.
        settings: how it was made, by name.
        fingerprints: of the data sets, by name.
    """

    __pydantic_config__ = _KNOWN

    study: str
    title: str
    question: str
    tables: tuple[Table, ...] = ()
    images: tuple[Image, ...] = ()
    findings: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)


def write(folder: Path, outcome: Outcome) -> None:
    """Put an outcome into a folder, as ``study.json``.

    Raises:
        ValueError: a number is infinite or not a number.
        OSError: the folder cannot be written to.
    """
    write_text(folder / OUTCOME, json.dumps(asdict(outcome), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read(folder: Path) -> Outcome:
    """The outcome in a folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    path = folder / OUTCOME
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no study (no {OUTCOME}); run flatrec study with --out {folder} first")
    try:
        text = path.read_bytes()
        outcome = TypeAdapter(Outcome).validate_json(text, strict=True)
        _check_whole(json.loads(text))
        _check_numbers(outcome)
    except ValidationError as error:
        raise ValueError(f"{path} is damaged ({_first(error)}); run the study again") from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); run the study again") from None
    return outcome


def _check_whole(tree: Mapping[str, object]) -> None:
    if lacking := [name for name in ("tables", "images", "findings", "failures") if name not in tree]:
        raise ValueError(f"it has no {lacking[0]}")


def _check_numbers(outcome: Outcome) -> None:
    """Make sure that all numbers can be written: finite, and no whole ones beyond the range of floats."""
    for table in outcome.tables:
        for value in (value for row in table.rows for value in row):
            if isinstance(value, (int, float)) and not abs(value) <= sys.float_info.max:
                raise ValueError(f"table {table.name!r} has a number that is not finite")


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    one = error.errors(include_url=False, include_input=False)[0]
    if one["type"] == "json_invalid":
        return "it is not JSON, or JSON that is too deep"
    place = ".".join(map(str, one["loc"])) or "all of it"
    if found := _CELL.fullmatch(place):
        return f"{found[1]}: input should be text, a number or null"
    said = one["msg"].removeprefix("Value error, ")
    return f"{place}: {said[:1].lower()}{said[1:]}"
