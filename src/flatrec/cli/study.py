"""flatrec study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.research.studies.registry import ENTRIES
from flatrec.utils.messages import unknown

if TYPE_CHECKING:
    from flatrec.research.reporting.study_result import Outcome
    from flatrec.research.studies.base import PlannedRun, Study

Jobs = Annotated[int, typer.Option(help="Runs at once; on a cluster -1 is one a core.")]
BackEnd = Annotated[str, typer.Option(help="local, ray or dask.")]
Address = Annotated[str | None, typer.Option(help="Of the cluster.", show_default=False)]


def study(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(ENTRIES)}.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Gets runs, tables, figures and study.json.", show_default=False)],
    data: Annotated[
        list[str] | None, typer.Option(help="As for train; repeatable. Default shop.", show_default=False)
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(help="Comma-separated. Default: that of the experiment file, or freedom.", show_default=False),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(help="Comma-separated; the first is what others are held against.", show_default=False),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many; numbered from --seed.", show_default=False)] = None,
    seed: options.Seed = None,
    experiment: options.File = None,
    sets: options.Sets = None,
    device: options.Device = None,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of the runs; give several studies the same. Default in --out.")
    ] = None,
    jobs: Jobs = 1,
    backend: BackEnd = "local",
    address: Address = None,
    json: options.Json = False,
) -> None:
    """Carry out an experiment of the paper on your data: tables, figures and what is significant.

    What is finished is never done twice; started again, a study goes on. Settings of a study itself are `study.KEY`.

    Example: `flatrec study noise --data shop --models freedom --seeds 5 --out runs/noise --set study.draws=3`
    """
    from flatrec import config
    from flatrec.api import announce
    from flatrec.research.execution import Workers
    from flatrec.research.studies.base import Request, Source
    from flatrec.research.studies.runner import run_study

    kind = _kind(name)
    own, shared = _split(sets or ())
    base = options.experiment(experiment, shared, seed=seed, device=device)
    made: Study = config.build(kind, own, "study")
    first = kind.SEEDS[0] if seed is None else seed
    request = Request(
        tuple(data or ["shop"]),
        _names(models) or (base.model.name,),
        _names(strategies) or kind.STRATEGIES,
        tuple(range(first, first + (len(kind.SEEDS) if seeds is None else options.counted("--seeds", seeds)))),
        base,
    )
    for path in dict.fromkeys(request.data):
        announce(Source(path).load())
    workers = Workers(jobs, backend, address)
    outcome = run_study(name, made, request, out, runs=runs, workers=workers, on_run=_Lines())
    if json:
        print_json(asdict(outcome))
        return
    print_outcome(outcome, out)


def print_outcome(outcome: Outcome, out: Path) -> None:
    """The first table, the sentences, what failed, and where the rest is."""
    from flatrec.research.reporting.formats import cell_text

    for table in outcome.tables[:1]:
        rows = [[cell_text(cell, one) for cell, one in zip(row, table.columns, strict=True)] for row in table.rows]
        print_table(table.title, [one.name for one in table.columns], rows)
        print_text(table.note)
    for sentence in outcome.findings:
        print_text(f"- {sentence}")
    for failure in outcome.failures:
        print_text(f"failed: {failure.run}: {failure.error}")
    print_text(f"Tables and figures are in {out}; flatrec report {out} --out report.html makes a page of them")


class _Lines:
    """A line on standard error as each run ends."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)

    def __call__(self, planned: PlannedRun, error: str | None, left: int) -> None:
        end = "finished" if error is None else f"failed: {error}"
        self.console.print(f"{planned.name} {end} ({left} left)", markup=False, highlight=False, soft_wrap=True)


def _kind(name: str) -> type[Study]:
    if name not in ENTRIES:
        raise ValueError(unknown("study", name, list(ENTRIES)))
    from flatrec.research.studies import STUDIES

    return STUDIES[name]


def _split(sets: Sequence[str]) -> tuple[Mapping[str, Any], list[str]]:
    """What is set of the study itself, and the rest."""
    from flatrec import config

    own: dict[str, Any] = {}
    rest = []
    for text in sets:
        tree = config.assignment(text)
        given = tree.get("study")
        if given is None:
            rest.append(text)
        elif isinstance(given, Mapping):
            own |= {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
        else:
            raise ValueError(f"--set takes study.KEY=VALUE for a study's own settings, but got {text!r}")
    return own, rest


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
