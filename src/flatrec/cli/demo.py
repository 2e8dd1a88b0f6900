"""flatrec demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flatrec.cli import options


def demo(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("demo"),
    overwrite: options.Overwrite = False,
) -> None:
    """Generate a shop, train, compare, recommend, and write a report to look at.

    Example: `flatrec demo --out demo`
    """
    raise ValueError(f"{out} {overwrite}")
