"""Studies and their tables in a notebook."""

from __future__ import annotations

from collections.abc import Iterator

from flatrec.display.html import Content, Html, element, heading, joined, page, soft, text
from flatrec.display.table import table as html_table
from flatrec.research.reporting.best import best_cells
from flatrec.research.reporting.formats import cell_text
from flatrec.research.reporting.study_result import StudyResult, Table

N_ROWS, N_TABLES, N_SENTENCES = 50, 4, 20


def study_html(result: StudyResult) -> str:
    """Return question, findings, failures and the first tables of a study."""
    failed = [f"failed: {one.run}: {one.error}" for one in result.failures]
    sentences = [element("li", text(said, 400)) for said in (*result.findings, *failed)[:N_SENTENCES]]
    return page(
        heading("Study", result.title),
        soft(text(result.question, 400)),
        element("ul", *sentences, style="margin:.4em 0;padding-left:1.4em") if sentences else "",
        *map(_table, result.tables[:N_TABLES]),
        _more(len(result.tables) - N_TABLES, "table"),
    )


def table_html(table: Table) -> str:
    """Return the first fifty rows of a table, with the best values in bold."""
    return page(_table(table))


def _table(table: Table) -> Html:
    best = best_cells(table)
    texts = [place for place, column in enumerate(table.columns) if column.kind == "text"]
    rows = [list(_cells(table, number, best)) for number in range(min(len(table.rows), N_ROWS))]
    return joined(
        html_table([text(column.name) for column in table.columns], rows, texts=texts, caption=table.title),
        _more(len(table.rows) - N_ROWS, "row"),
        soft(text(table.note, 600)) if table.note else "",
    )


def _cells(table: Table, number: int, best: frozenset[tuple[int, int]]) -> Iterator[Content]:
    for place, (value, column) in enumerate(zip(table.rows[number], table.columns, strict=True)):
        shown = text(cell_text(value, column))
        yield element("b", shown) if (number, place) in best else shown


def _more(number: int, noun: str) -> Content:
    return soft(f"and {number} more {noun}{'' if number == 1 else 's'}") if number > 0 else ""
