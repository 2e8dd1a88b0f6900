"""What commands print: tables for people, one JSON object for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on standard output; columns after the first are aligned right where they hold numbers."""
    table = Table(title=Text(title), title_justify="left")
    for place, column in enumerate(columns):
        numeric = place > 0 and all(_number_like(row[place]) for row in rows)
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(cell) for cell in row))
    console().print(table)


def print_text(text: str) -> None:
    """A line on standard output."""
    console().print(text, markup=False, highlight=False, soft_wrap=True)


def print_warnings(counts: Mapping[str, int], details: Path) -> None:
    """Print one line per warning: how many items have it, and which file lists them."""
    for warning, count in counts.items():
        print_text(f"- {warning}: {count} items, listed in {details}")


def console() -> Console:
    """A console on standard output; wide where it is a file or a pipe, so that tables are not cut."""
    return Console() if sys.stdout.isatty() else Console(width=140)


def _text(cell: object) -> Text:
    """A cell as it is: ids and titles are not markup."""
    if isinstance(cell, float):
        return Text(f"{cell:.4f}")
    return Text("" if cell is None else str(cell))


def _number_like(cell: object) -> bool:
    return isinstance(cell, (int, float)) or (isinstance(cell, str) and cell[:1].isdigit()) or cell in (None, "")
