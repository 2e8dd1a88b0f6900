"""flatrec report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flatrec.cli.printing import print_text
from flatrec.utils.messages import unknown

ENDINGS = (("html", "html"), ("md", "md"), ("latex", "tex"))


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR…", help="Folders of studies or sweeps.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write. Default report.html, report.md or report.tex.", show_default=False),
    ] = None,
    format: Annotated[str, typer.Option(help="html for a page; md or latex for the tables alone.")] = "html",
) -> None:
    """Make one page of studies: tables, figures, what is significant, and a robustness card for each model.

    The page stands alone: it loads nothing, and can be sent as it is.

    Example: `flatrec report runs/overall runs/noise --out report.html`
    """
    from flatrec.research.reporting import study_report
    from flatrec.utils.atomic_write import write_text

    endings = dict(ENDINGS)
    if format not in endings:
        raise ValueError(unknown("format", format, list(endings)))
    target = out or Path(f"report.{endings[format]}")
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file, such as {target / f'report.{endings[format]}'}")
    chapters = page.load(folders, figures=format == "html")
    render = {"html": page.html, "md": page.markdown_text, "latex": page.latex_text}[format]
    write_text(target, render(chapters))
    print_text(f"The report is {target}")
