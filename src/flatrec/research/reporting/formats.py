"""Tables as text: CSV and JSON at full precision, Markdown and LaTeX for readers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from flatrec.evaluation.metrics import find_metric
from flatrec.research.reporting.best import best_cells
from flatrec.research.reporting.study_result import Column, Table, Value
from flatrec.utils.atomic_write import atomic_write, write_text
from flatrec.utils.csv_cells import no_formulas

DASH, MINUS, SPACE = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"

_MARKDOWN = re.compile(r"[\\`*_\[\]&|~$]|<(?=\S)")  # a lone < opens nothing
_UNPRINTED = re.compile(r"[\x00-\x1f\x7f]")  # TeX refuses most of these
_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        # In the old default font these three are other characters.
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # At the start of a row these two would belong to the \\ before it.
        "[": "{[}",
        "*": "{*}",
        DASH: "--",
        MINUS: "$-$",
        SPACE: "~",
    }
)


def cell_text(value: Value, column: Column) -> str:
    """A cell for readers: rounded, a percentage with its sign, p below a thousandth only as that, a dash for None."""
    if value is None:
        return DASH
    if isinstance(value, str) or column.kind == "text":
        return str(value)
    if column.kind == "percent":
        return percent(value)
    if column.kind == "p":
        return "< 0.001" if value < 0.001 else f"{value:.2g}"
    return _signed(f"{value:.{column.digits}f}")


def percent(fraction: float | None, digits: int = 1) -> str:
    """A relative difference with its sign, e.g. +3.1 %; a dash where it is not known."""
    return DASH if fraction is None else f"{_signed(f'{100 * fraction:+.{digits}f}')}{SPACE}%"


def metric_name(metric: str) -> str:
    """Return the name of a metric in print: Recall@10 for ``recall@10``."""
    name, at, k = metric.partition("@")
    known = find_metric(name)
    return (known.shown_title if known else name.capitalize()) + at + k


def p_value(p: float) -> str:
    """Write p with two digits, such as ``p = 0.03``; a p below a thousandth only as that."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def csv_text(table: Table) -> str:
    """As RFC 4180 has it, with a line of headings; numbers as they are, nothing for None, no formulas."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")  # writes a float with all digits that tell it from others
    writer.writerow(no_formulas([column.name for column in table.columns]))
    writer.writerows(map(no_formulas, table.rows))
    return text.getvalue()


def json_text(table: Table) -> str:
    """As in ``study.json``, numbers as they are.

    Raises:
        ValueError: a number is infinite or not a number.
    """
    return json.dumps(asdict(table), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def markdown(table: Table) -> str:
    """A table as GitHub shows it, under its title and above its note."""
    ends = ["---" if column.kind == "text" else "---:" for column in table.columns]
    lines = [f"| {' | '.join(cells)} |" for cells in _cells(table, escape_markdown)]
    note = ["", f"*{escape_markdown(table.note)}*"] if table.note else []
    return "\n".join(
        [f"**{escape_markdown(table.title)}**", "", lines[0], f"| {' | '.join(ends)} |", *lines[1:], *note, ""]
    )


def escape_markdown(text: str) -> str:
    """Write a text as one line of Markdown, in which nothing is markup."""
    return _MARKDOWN.sub(r"\\\g<0>", _in_a_line(text))


def latex(table: Table) -> str:
    r"""A floating table with the rules of booktabs, and the best values in bold; its label is ``tab:`` and the name.

    The name is written as :func:`label_name` has it. What is best is said by :mod:`flatrec.research.reporting.best`.
    A table that is wider than a line is made smaller. The document needs ``\usepackage{booktabs,graphicx}``. Letters
    beyond ASCII stay as they are.
    """
    ends = "".join("l" if column.kind == "text" else "r" for column in table.columns)
    best = best_cells(table)
    rows = [
        [rf"\textbf{{{cell}}}" if (number, place) in best else cell for place, cell in enumerate(cells)]
        for number, cells in enumerate(_cells(table, _in_latex), start=-1)  # the headings come first
    ]
    lines = [rf"{' & '.join(cells)} \\" for cells in rows]
    note = [rf"\par\smallskip{{\footnotesize {_in_latex(table.note)}\par}}"] if table.note else []
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_in_latex(table.title)}}}",
            rf"\label{{tab:{label_name(table.name)}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{ends}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}}",
            *note,
            r"\end{table}",
            "",
        ]
    )


def label_name(name: str) -> str:
    """A name as a label of LaTeX takes it, where no character can be escaped: letters, digits, points and hyphens."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name)


def write_tables(folder: Path, tables: Sequence[Table]) -> None:
    """Put each table into a folder, as ``<name>.csv`` and ``<name>.json``.

    Raises:
        ValueError: a number is infinite or not a number; neither file of its table is written.
        OSError: the folder cannot be written to.
    """
    for table in tables:
        tree = json_text(table)
        with atomic_write(folder / f"{table.name}.csv") as temporary:
            temporary.write_bytes(csv_text(table).encode())  # written as text, line ends would change on Windows
        write_text(folder / f"{table.name}.json", tree)


def _cells(table: Table, escaped: Callable[[str], str]) -> Iterator[list[str]]:
    """Headings, then rows."""
    yield [escaped(column.name) for column in table.columns]
    for row in table.rows:
        yield [escaped(cell_text(value, column)) for value, column in zip(row, table.columns, strict=True)]


def _signed(number: str) -> str:
    """A number in print: a proper minus, and no sign before what is rounded to zero."""
    return number.replace("-", MINUS) if float(number) else number.lstrip("+-")


def _in_latex(text: str) -> str:
    return _UNPRINTED.sub(" ", _in_a_line(text)).translate(_LATEX)


def _in_a_line(text: str) -> str:
    return " ".join(text.splitlines())
