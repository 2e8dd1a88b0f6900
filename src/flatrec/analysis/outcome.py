"""What a study found, as plain data: tables, figures, sentences, and the runs that failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from flatrec.files import write_text

OUTCOME = "study.json"
Value: TypeAlias = str | float | int | None
Kind: TypeAlias = Literal["text", "number", "percent", "p"]  # percent: a share, 0.031 for 3.1 %


@dataclass(frozen=True)
class Column:
    """What the cells of a column are.

    Args:
        name: the heading.
        kind: how cells are written; those that are not text are numbers or None.
        digits: after the point, of a number.
    """

    name: str
    kind: Kind = "text"
    digits: int = 4


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

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        if wrong := [row for row in self.rows if len(row) != len(self.columns)]:
            raise ValueError(f"a row of table {self.name} needs {len(self.columns)} cells, but has {len(wrong[0])}")


@dataclass(frozen=True)
class Picture:
    """A figure, drawn as ``<name>.png`` and ``<name>.svg`` in the folder ``figures`` beside the outcome.

    Args:
        name: of its files, without ending.
        title: for readers.
        caption: what is seen, and how to read it.
    """

    name: str
    title: str
    caption: str = ""


@dataclass(frozen=True)
class Failure:
    """A run that is missing from the tables, and why in a line."""

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
        pictures: the figures.
        findings: what is significant and what is not, in plain sentences.
        failures: runs that are missing.
        settings: how it was made, by name.
        fingerprints: of the data sets, by name.
    """

    study: str
    title: str
    question: str
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
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
        tree = json.loads(path.read_text(encoding="utf-8"))
        return Outcome(
            **{
                **tree,
                "tables": tuple(_table(one) for one in tree["tables"]),
                "pictures": tuple(Picture(**one) for one in tree["pictures"]),
                "findings": tuple(tree["findings"]),
                "failures": tuple(Failure(**one) for one in tree["failures"]),
            }
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); run the study again") from None


def _table(tree: Mapping[str, object]) -> Table:
    columns, rows = tree["columns"], tree["rows"]
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise ValueError("a table needs lists of columns and rows")
    return Table(**{**tree, "columns": tuple(Column(**one) for one in columns), "rows": tuple(map(tuple, rows))})  # type: ignore[arg-type]
