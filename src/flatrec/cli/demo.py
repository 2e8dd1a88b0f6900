"""flatrec demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from flatrec.cli import options
from flatrec.cli.compare import print_comparison
from flatrec.cli.printing import print_table, print_text
from flatrec.cli.recommend import print_items
from flatrec.utils.messages import unknown


def demo(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("demo"),
    overwrite: options.Overwrite = False,
    encoders: Annotated[
        str,
        typer.Option(
            metavar="auto|shop|real",
            help="Of images and texts: real ones, from flatrec\\[encode], or the shop's own; auto: what is there.",
        ),
    ] = "auto",
) -> None:
    """Generate a shop, train, compare, recommend, and write a report to look at.

    Example: `flatrec demo --out demo`
    """
    from flatrec.cli.progress import ProgressBar
    from flatrec.content.shop_features import Encoders
    from flatrec.research.demo import SHOWN, DemoSettings, run_demo

    if encoders not in get_args(Encoders):
        raise ValueError(unknown("encoders", encoders, list(get_args(Encoders))))
    settings = DemoSettings(encoders=cast(Encoders, encoders))
    made = run_demo(
        out,
        overwrite=overwrite,
        announce=_announce,
        callbacks=lambda name, seed: [ProgressBar(f"{name} seed {seed}")],
        settings=settings,
    )
    rows = [[name, *(scores[metric] for metric in SHOWN)] for name, scores in made.baselines.items()]
    print_table("Baselines, test part", ["model", *SHOWN], rows)
    print_comparison(made.table)
    for user, items in made.recommendations.items():
        print_items(f"For {user}", items)
    print_text(f"The report is {made.report}; recommend on with: flatrec recommend {made.source} --user ID")


def _announce(line: str) -> None:
    sys.stderr.write(line + "\n")
