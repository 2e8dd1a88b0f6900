"""flatrec robustness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.messages import print_progress
from flatrec.cli.printing import print_json, print_report_table, print_text

if TYPE_CHECKING:
    from flatrec.data.interactions import Split
    from flatrec.research.robustness import Gate, Subject

GATE_FAILED = 3  # exit code


def robustness(
    run: Annotated[Path | None, typer.Argument(help="Folder of a run.", show_default=False)] = None,
    users: Annotated[
        Path | None,
        typer.Option(help="Instead of a run: .npy file with a vector per user of --data, in the order of the users."),
    ] = None,
    items: Annotated[Path | None, typer.Option(help="The same for items; scores are inner products.")] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Path of the data: of the vectors, or of the run, if they were moved.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for robustness.json and the page. Default: robustness, in the folder of the run."),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help='Gate such as "recall@10 drops 5% under items=20%"; exit code 3 if it fails; repeatable.',
            show_default=False,
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="Number of draws at each level.")] = 5,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Also train the run again with false interactions and attacks.")
    ] = False,
    split: options.EvaluatedSplit = "test",
    seed: Annotated[int, typer.Option(help="Seed of all disturbances.")] = 0,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Write the page, which takes extra plots.")] = True,
    model: options.OwnModel = None,
    strategy: options.OwnStrategy = None,
    metrics: options.OwnMetrics = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Measure how much a run, or vectors of any library, lose under noise and other disturbances; with gates.

    Example: `flatrec robustness runs/first --fail-if "recall@10 drops 5% under items=20%"`
    """
    from flatrec.research.robustness import measure, parse_gate
    from flatrec.research.robustness.card import write_card
    from flatrec.research.robustness.page import drops_table, findings, write_page
    from flatrec.utils.optional import require_extra

    counted = options.counted("--draws", draws)
    gates = [parse_gate(text) for text in fail_if or ()]
    if page:
        for package in ("jinja2", "matplotlib"):
            require_extra(package, "plots")
    scored = options.evaluated_split(split)
    if run is not None and users is None and items is None:
        subject = _of_run(run, data, device, model, strategy, metrics or (), scored)
    else:
        subject = _of_vectors(run, users, items, data, scored)
    _check_metrics(gates, subject)
    card = measure(
        subject,
        draws=counted,
        retrain=retrain,
        seed=seed,
        more_levels=[(gate.kind, gate.level) for gate in gates],
        on_level=_report,
    )
    failed = [gate for gate in gates if gate.fails(card)]
    content = card.as_json()
    content["gates"] = [{"gate": str(gate), "drop": gate.lost(card), "fails": gate in failed} for gate in gates]
    folder = out or (run or Path()) / "robustness"
    write_card(folder, content)
    if page:
        write_page(folder, card, gates, {"draws": str(draws), "seed": str(seed), "split": split})
    if json:
        print_json(content)
    else:
        print_report_table(drops_table(card))
        for sentence in findings(card, gates):
            print_text(f"- {sentence}")
        print_text(f"The card is in {folder}")
    if failed:
        raise typer.Exit(GATE_FAILED)


def _report(kind: str, level: float) -> None:
    print_progress(f"{kind} {100 * level:g} %")


def _of_run(
    folder: Path,
    data: str | None,
    device: str | None,
    model: str | None,
    strategy: str | None,
    metrics: Sequence[str],
    split: Split,
) -> Subject:
    from flatrec.api import load_run
    from flatrec.research.robustness import Subject
    from flatrec.runs import run_dir

    loaded = load_run(folder, data, device or "auto", model, metrics=metrics)
    experiment = options.experiment(folder / run_dir.EXPERIMENT, None, model=model, strategy=strategy, device=device)
    return Subject.of_run(loaded, experiment, str(loaded.result["model"]), split=split)


def _of_vectors(run: Path | None, users: Path | None, items: Path | None, data: str | None, split: Split) -> Subject:
    from flatrec.api import load
    from flatrec.config import Evaluation
    from flatrec.research.robustness import Subject, read_vectors

    if run is not None or users is None or items is None or data is None:
        raise ValueError(
            "expected the folder of a run, or --users, --items and --data together; give one of the two, and all of it"
        )
    return Subject.of_vectors(read_vectors(users, items), load(data), Evaluation(), users.stem, split=split)


def _check_metrics(gates: Sequence[Gate], subject: Subject) -> None:
    """Make sure that gates name metrics that are measured.

    Raises:
        ValueError: a metric is not among them.
    """
    from flatrec.utils.messages import unknown

    names = subject.metric_names()
    for gate in gates:
        if gate.metric not in names:
            raise ValueError(unknown("metric", gate.metric, names))
