"""Output of commands: tables for people, one JSON object for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flatrec.content.report import count_warnings

if TYPE_CHECKING:
    from flatrec.inference.answers import Recommendation
    from flatrec.research.reporting.study_result import StudyResult
    from flatrec.research.reporting.study_result import Table as ReportTable

STANDARD_OUTPUT = "-"  # as a value of --out


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def is_standard_output(out: Path | None) -> bool:
    """Return True if ``--out -`` asks for a result on standard output, where nothing else is printed then."""
    return out is not None and str(out) == STANDARD_OUTPUT


def print_result(text: str) -> None:
    """Write a result to standard output as its file would be: UTF-8, with the line ends that it has."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; columns after the first are aligned right if they hold numbers."""
    table = Table(title=Text(title), title_justify="left")
    for index, column in enumerate(columns):
        numeric = index > 0 and all(_is_number_like(row[index]) for row in rows)
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(cell) for cell in row))
    console().print(table)


def print_text(text: str) -> None:
    """Print a line on standard output."""
    console().print(text, markup=False, highlight=False, soft_wrap=True)


def print_warnings(warnings: Mapping[str, Sequence[str]], details: Path) -> None:
    """Print one line per warning: how many items have it, and which file lists them."""
    for warning, count in count_warnings(warnings).items():
        print_text(f"- {warning}: {count} items, listed in {details}")


def print_items(title: str, items: Sequence[Recommendation]) -> None:
    """Print a table of items, best first; new items are marked, and reasons are named, if there are any."""
    columns = ["", "item", "title", "score"]
    rows = [[str(rank), one.item, one.title or "", one.score] for rank, one in enumerate(items, start=1)]
    if any(one.reasons for one in items):
        columns.append("because of")
        rows = [[*row, _reasons(one)] for row, one in zip(rows, items, strict=True)]
    if any(one.new for one in items):
        columns.append("new")
        rows = [[*row, "new" if one.new else ""] for row, one in zip(rows, items, strict=True)]
    print_table(title, columns, rows)


def _reasons(item: Recommendation) -> str:
    return "; ".join(f"{one.title or one.item} ({one.kind} {one.contribution:.3f})" for one in item.reasons)


def print_report_table(table: ReportTable) -> None:
    """Print a table of a study or comparison, and how to read it."""
    from flatrec.research.reporting.formats import cell_text

    rows = [[cell_text(cell, column) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows]
    print_table(table.title, [column.name for column in table.columns], rows)
    print_text(table.note)


def print_study_result(result: StudyResult, out: Path, *, as_json: bool) -> None:
    """Print the first table of a study, its findings, its failures, and where the rest is; or all of it as JSON."""
    if as_json:
        print_json(asdict(result))
        return
    for table in result.tables[:1]:
        print_report_table(table)
    for sentence in result.findings:
        print_text(f"- {sentence}")
    for failure in result.failures:
        print_text(f"failed: {failure.run}: {failure.error}")
    print_text(f"Tables and figures are in {out}; flatrec report {out} --out report.html makes a page of them")


def console() -> Console:
    """Return a console on standard output; it is wide if that is a file or a pipe, so that tables are not cut."""
    return Console() if sys.stdout.isatty() else Console(width=140)


def _text(cell: object) -> Text:
    """Return a cell without markup, as ids and titles are."""
    if isinstance(cell, float):
        return Text(f"{cell:.4f}")
    return Text("" if cell is None else str(cell))


def _is_number_like(cell: object) -> bool:
    return isinstance(cell, (int, float)) or (isinstance(cell, str) and cell[:1].isdigit()) or cell in (None, "")
