"""The result of a study as plain data: tables, figures, sentences, card columns, and the runs that failed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import ConfigDict, TypeAdapter, ValidationError

from flatrec.evaluation.significance import MIN_SEEDS, SIGNIFICANCE_LEVEL
from flatrec.utils.atomic_write import write_text

STUDY_FILE = "study.json"
_CELL = re.compile(r"(tables\.\d+\.rows\.\d+\.\d+)\.\w+")
MAX_DIGITS = 17  # no float needs more
Value: TypeAlias = str | float | int | None
Kind: TypeAlias = Literal["text", "number", "percent", "p"]  # percent: a fraction, 0.031 for 3.1 %


class _Strict:
    __pydantic_config__ = ConfigDict(extra="forbid")  # for reading: unknown keys are refused


@dataclass(frozen=True)
class Column(_Strict):
    """Heading of a table column, and how its cells are written.

    Args:
        name: heading.
        kind: how cells are written; cells of every kind but text are numbers or None.
        digits: digits after the decimal point of a number.
        best: which value is the best, where rows are compared in it; empty where none is.

    Raises:
        ValueError: the number of digits is out of range.
    """

    name: str
    kind: Kind = "text"
    digits: int = 4
    best: Literal["", "highest", "lowest"] = ""

    def __post_init__(self) -> None:
        if not 0 <= self.digits <= MAX_DIGITS:
            raise ValueError(f"digits must be 0 to {MAX_DIGITS}, but is {self.digits}")


@dataclass(frozen=True)
class Table(_Strict):
    """Table of a study: rows of cells under columns.

    Args:
        name: name of its files, without ending: lower case, digits and hyphens.
        title: title for readers.
        columns: one per cell of a row.
        rows: cells; None where there is no value.
        note: one or two sentences on how to read the table.
        compares: name of the column whose entries are compared with one another, such as ``strategy``; empty if none
            is. Rows that agree in all columns before it are compared in the columns that have a best value.

    Raises:
        ValueError: a row has another number of cells.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""
    compares: str = ""

    def _repr_html_(self) -> str:
        from flatrec.research.reporting.notebook import table_html

        return table_html(self)

    def __post_init__(self) -> None:
        if wrong := [row for row in self.rows if len(row) != len(self.columns)]:
            raise ValueError(f"a row of table {self.name} needs {len(self.columns)} cells, but has {len(wrong[0])}")


@dataclass(frozen=True)
class Image(_Strict):
    """Figure of a study, drawn as ``<name>.png`` and ``<name>.svg`` in the folder ``figures`` beside ``study.json``.

    Args:
        name: name of its files, without ending.
        title: title for readers.
        caption: what the figure shows, and how to read it.
    """

    name: str
    title: str
    caption: str = ""


@dataclass(frozen=True)
class Failure(_Strict):
    """Run that is missing from the tables, and the reason in one line."""

    run: str
    error: str


@dataclass(frozen=True)
class CardEntry(_Strict):
    """One number of one strategy on a robustness card.

    Args:
        data: data set, as the study was given it.
        model: name of the model.
        strategy: name of the strategy.
        value: mean over runs, or what else the column holds.
        deviation: standard deviation over runs, where the study has it.
        p: corrected p of the test against another strategy; None where there is no test.
        against: that other strategy; empty where there is no test.
        ahead: True if the value is better than that strategy's, None where neither is better.
        condition: condition under which the value was measured, in a few words.
        runs: number of runs.
        note: sentence that the card must say where it shows this value.
    """

    data: str
    model: str
    strategy: str
    value: float
    deviation: float | None = None
    p: float | None = None
    against: str = ""
    ahead: bool | None = None
    condition: str = ""
    runs: int = MIN_SEEDS
    note: str = ""

    @property
    def verdict(self) -> Literal["better", "worse", ""]:
        """Better or worse than the other strategy, where the difference is significant."""
        if self.p is None or self.p >= SIGNIFICANCE_LEVEL or self.ahead is None:
            return ""
        return "better" if self.ahead else "worse"


@dataclass(frozen=True)
class CardColumn(_Strict):
    """Column that a study gives to robustness cards.

    Args:
        name: name by which columns of several studies are recognized as the same.
        title: heading.
        entries: numbers of all strategies that the study has.
        place: where a strategy is good or bad, within a sentence; empty where another column says it.
        form: how values are written: a format of Python, or ``%``.
        higher_is_better: True if the highest value is the best.
    """

    name: str
    title: str
    entries: tuple[CardEntry, ...]
    place: str = ""
    form: str = ".4f"
    higher_is_better: bool = False


@dataclass(frozen=True)
class StudyResult(_Strict):
    """Result of a study.

    Args:
        study: name of the study, such as ``noise``.
        title: title for readers.
        question: question that the study asks, in one sentence.
        tables: the numbers.
        images: the figures.
        findings: what is significant and what is not, in plain sentences.
        failures: runs that are missing.
        settings: settings that the study was made with, by name.
        fingerprints: fingerprints of the data sets, by name.
        card_columns: columns for the robustness cards.
    """

    study: str
    title: str
    question: str
    tables: tuple[Table, ...] = ()
    images: tuple[Image, ...] = ()
    findings: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    card_columns: tuple[CardColumn, ...] = ()

    def _repr_html_(self) -> str:
        from flatrec.research.reporting.notebook import study_html

        return study_html(self)


def against_first(entries: Iterable[CardEntry]) -> tuple[CardEntry, ...]:
    """Say of entries, of which lower values are better, which are ahead of the first strategy.

    The first strategy is that of the first entry with the same data set and model.
    """
    firsts: dict[tuple[str, str], CardEntry] = {}
    compared = []
    for entry in entries:
        first = firsts.setdefault((entry.data, entry.model), entry)
        ahead = None if entry.value == first.value else entry.value < first.value
        compared.append(replace(entry, against="" if entry.p is None else first.strategy, ahead=ahead))
    return tuple(compared)


def write_study_result(folder: Path, result: StudyResult) -> None:
    """Write a result into a folder, as ``study.json``.

    Raises:
        ValueError: a number is infinite or not a number.
        OSError: the folder cannot be written to.
    """
    write_text(folder / STUDY_FILE, json.dumps(asdict(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_study_result(folder: Path) -> StudyResult:
    """Read the result in a folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    path = folder / STUDY_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no study (no {STUDY_FILE}); run flatrec study with --out {folder} first"
        )
    try:
        text = path.read_bytes()
        result = TypeAdapter(StudyResult).validate_json(text, strict=True)
        _check_complete(json.loads(text))
        _check_numbers(result)
    except ValidationError as error:
        raise ValueError(f"{path} is damaged ({_first_error(error)}); run the study again") from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); run the study again") from None
    return result


def _check_complete(tree: Mapping[str, object]) -> None:
    for name in ("tables", "images", "findings", "failures", "card_columns"):
        if name not in tree:
            raise ValueError(f"it has no {name}")


def _check_numbers(result: StudyResult) -> None:
    """Make sure that all numbers are finite, and no whole number lies beyond the range of floats."""
    for table in result.tables:
        if any(not _is_finite(value) for row in table.rows for value in row):
            raise ValueError(f"table {table.name!r} has a number that is not finite")
    for column in result.card_columns:
        if any(not _is_finite(value) for entry in column.entries for value in (entry.value, entry.deviation, entry.p)):
            raise ValueError(f"card column {column.name!r} has a number that is not finite")


def _is_finite(value: Value) -> bool:
    return not isinstance(value, (int, float)) or abs(value) <= sys.float_info.max


def _first_error(error: ValidationError) -> str:
    """Say what is wrong first, and where."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return "it is not JSON, or JSON that is too deep"
    place = ".".join(map(str, first["loc"])) or "all of it"
    if cell := _CELL.fullmatch(place):
        return f"{cell[1]}: input should be text, a number or null"
    reason = first["msg"].removeprefix("Value error, ")
    return f"{place}: {reason[:1].lower()}{reason[1:]}"
