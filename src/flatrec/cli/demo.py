"""flatrec demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_items, print_report_table, print_table, print_text
from flatrec.utils.messages import unknown

if TYPE_CHECKING:
    from flatrec.content.shop_features import Encoders


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("demo"),
    overwrite: options.Overwrite = False,
    encoders: Annotated[
        str,
        typer.Option(
            metavar="auto|shop|real",
            help="Encoders of images and texts: real ones (of flatrec\\[encode]) or the simple ones of the shop; auto "
            "takes the real ones if they are installed.",
        ),
    ] = "auto",
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Take half a minute: a smaller shop, fewer epochs, two strategies and simple encoders."
        ),
    ] = False,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Serve the demo and open its page; a demo that is there is served at once."),
    ] = False,
    port: Annotated[
        int | None, typer.Option(help="Port of the page, with --serve. Default: 8000.", show_default=False)
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="With --serve, open no browser.")] = False,
) -> None:
    """Generate a shop, train, compare, recommend, and write a report to look at.

    Example: `flatrec demo --out demo`
    """
    from flatrec.content.shop_features import Encoders

    if encoders not in get_args(Encoders):
        raise ValueError(unknown("encoders", encoders, list(get_args(Encoders))))
    if not serve:
        if port is not None or no_browser:
            raise ValueError("--port and --no-browser are about the page of --serve, which is missing; add it")
        _make(out, overwrite=overwrite, encoders=cast(Encoders, encoders), quick=quick)
        return
    from flatrec.cli.demo_service import serve_demo
    from flatrec.research.demo_runs import finished_demo

    if overwrite or finished_demo(out) is None:
        _make(out, overwrite=overwrite, encoders=cast(Encoders, encoders), quick=quick)
    runs = finished_demo(out)
    assert runs is not None
    serve_demo(runs.source, runs.baseline, port=port, browser=not no_browser)


def _make(out: Path, *, overwrite: bool, encoders: Encoders, quick: bool) -> None:
    """Make the demo and print what it found."""
    from flatrec.cli.messages import print_progress
    from flatrec.cli.progress import ProgressBar
    from flatrec.research import DemoSettings, run_demo
    from flatrec.research.comparison import comparison_table
    from flatrec.research.demo import SHOWN_METRICS

    result = run_demo(
        out,
        overwrite=overwrite,
        announce=print_progress,
        callbacks=lambda strategy, seed: [ProgressBar(f"{strategy} seed {seed}")],
        settings=DemoSettings.quick(encoders) if quick else DemoSettings(encoders=encoders),
    )
    rows = [[name, *(metrics[metric] for metric in SHOWN_METRICS)] for name, metrics in result.baselines.items()]
    print_table("Baselines, test split", ["model", *SHOWN_METRICS], rows)
    print_report_table(comparison_table(result.comparison))
    for user, items in result.recommendations.items():
        print_items(f"For {user}", items)
    print_text(
        f"The report is {result.report}; get more recommendations with: flatrec recommend {result.source} --user ID"
    )
