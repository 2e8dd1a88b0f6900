"""flatrec report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flatrec.cli.printing import is_standard_output, print_result, print_text


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR…", help="Folders of studies or sweeps.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write; - for standard output. Default: report.html, report.md or report.tex.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str, typer.Option(help="Format of the report: html for a page; md or latex for the tables alone.")
    ] = "html",
) -> None:
    """Make one page of studies: tables, figures, what is significant, and a robustness card for each model.

    The page is one file that loads nothing, and can be sent as it is. With --out -, the report is all that is printed.

    Example: `flatrec report runs/overall runs/noise --out report.html`
    """
    from flatrec.research.reporting.study_report import report_text, write_report

    if is_standard_output(out):
        print_result(report_text(folders, format))
        return
    print_text(f"The report is {write_report(folders, out, format)}")
