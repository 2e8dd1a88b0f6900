"""The card for readers: a table, sentences, and a page in the form of those of studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flatrec.evaluation.significance import spread
from flatrec.research.reporting.formats import metric_name, percent
from flatrec.research.reporting.study_result import Column, Image, StudyResult, Table, Value, write_study_result
from flatrec.research.robustness.card import Level, RobustnessCard
from flatrec.research.robustness.gate import Gate
from flatrec.research.robustness.registry import DISTURBANCES

if TYPE_CHECKING:
    from flatrec.research.reporting.plots import Panel

PAGE, FIGURE = "robustness.html", "robustness"
PREFERRED = ("recall@10", "ndcg@10")


def shown_metrics(card: RobustnessCard) -> tuple[str, ...]:
    """Return the metrics that tables show: recall and NDCG at 10, or the first two."""
    found = tuple(name for name in PREFERRED if name in card.undisturbed)
    return found or tuple(card.undisturbed)[:2]


def drops_table(card: RobustnessCard) -> Table:
    """Make a table of all levels."""
    metrics = shown_metrics(card)
    columns = [Column("kind"), Column("level"), Column("draws", "number", 0)]
    for metric in metrics:
        columns += [Column(metric, "number"), Column("deviation", "number"), Column("change", "percent")]
    rows: list[tuple[Value, ...]] = [
        ("undisturbed", "", None, *_cells([(card.undisturbed[m], None, None) for m in metrics]))
    ]
    for one in card.levels:
        cells = []
        for metric in metrics:
            drop = one.drop(metric, card.undisturbed)
            cells.append((*spread(one.values(metric)), None if drop is None else -drop))
        rows.append((one.kind, f"{100 * one.level:g} %", len(one.draws), *_cells(cells)))
    note = f"Means over draws on the {card.split} split, their deviation, and the change of the mean."
    return Table("robustness", f"Robustness of {card.name} on {card.data}", tuple(columns), tuple(rows), note)


def targets_table(card: RobustnessCard) -> Table | None:
    """Make a table of how often pushed items are recommended; None if the card has no attack."""
    levels = [one for one in card.levels if one.targets]
    if not levels:
        return None
    names = tuple(levels[0].targets[0].before)
    columns = [Column("kind"), Column("level"), Column("target")]
    for name in names:
        columns += [Column(f"{name} before", "number"), Column(f"{name} after", "number")]
    rows: list[tuple[Value, ...]] = []
    for one in levels:
        pairs = [one.target_hits(name) or (None, None) for name in names]
        items = ", ".join(target.item for target in one.targets)
        rows.append((one.kind, f"{100 * one.level:g} %", items, *(cell for pair in pairs for cell in pair)))
    note = (
        "Fraction of the users, without fake ones and those who have the item already, whose first k items hold the "
        "one that is pushed: by the run, and by the one that was trained with the same settings and seed under attack."
    )
    return Table("targets", "Hit rate of pushed items", tuple(columns), tuple(rows), note)


def findings(card: RobustnessCard, gates: Sequence[Gate] = ()) -> tuple[str, ...]:
    """Say what is lost at the highest level of each kind, which gates hold, and what was left out."""
    metric = shown_metrics(card)[0]
    highest = {one.kind: one for one in card.levels}
    sentences = []
    for kind, one in highest.items():
        drop = one.drop(metric, card.undisturbed)
        change = percent(None if drop is None else -drop)
        sentences.append(f"{metric_name(metric)} under {kind} at {100 * one.level:g} %: {change}.")
        sentences += _hits_sentence(one, metric.partition("@")[2])
    sentences += [
        f"Gate {'fails' if gate.fails(card) else 'holds'}: {gate} ({percent(-gate.lost(card))})." for gate in gates
    ]
    return (*sentences, *(f"Not measured: {kind}, as {reason}." for kind, reason in card.left_out.items()))


def write_page(folder: Path, card: RobustnessCard, gates: Sequence[Gate], settings: Mapping[str, str]) -> Path:
    """Write the page, and the table and figure that it shows, into a folder; return the path of the page.

    Raises:
        ModuleNotFoundError: jinja2 or matplotlib is not installed.
        OSError: the folder cannot be written to.
    """
    from flatrec.research.reporting.plots import lines, save
    from flatrec.research.reporting.study_report import FIGURES, write_report

    metric = shown_metrics(card)[0]
    panels = _panels(card, metric)
    images: tuple[Image, ...] = ()
    if panels:
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
        figure = lines(panels, x_label="level, %", y_label=f"relative drop of {metric_name(metric)}, %")
        save(figure, folder / FIGURES, FIGURE)
        images = (Image(FIGURE, "Drop by level", "Means over draws; bands from the lowest draw to the highest."),)
    result = StudyResult(
        "robustness",
        f"Robustness of {card.name}",
        "How much does this recommender lose when vectors, features or training data are disturbed?",
        tuple(table for table in (drops_table(card), targets_table(card), _kinds(card)) if table is not None),
        images,
        findings(card, gates),
        settings=dict(settings),
        fingerprints={card.data: card.fingerprint},
    )
    write_study_result(folder, result)
    return write_report([folder], folder / PAGE)


def _hits_sentence(level: Level, k: str) -> list[str]:
    """Say how often the item that an attack pushes is recommended; nothing of other kinds."""
    hits = level.target_hits(f"hit_rate@{k}")
    if hits is None:
        return []
    before, after = (f"{100 * value:.1f} %" for value in hits)
    return [
        f"The item that {level.kind} pushes at {100 * level.level:g} % is among the first {k} of {before} of the users "
        f"without the attack, and of {after} under it."
    ]


def _cells(triples: Sequence[tuple[Value, Value, Value]]) -> list[Value]:
    return [cell for triple in triples for cell in triple]


def _panels(card: RobustnessCard, metric: str) -> list[Panel]:
    """Return a curve of the drop for each kind; none where there was nothing to lose."""
    from flatrec.research.reporting.plots import Line, Panel

    by_kind: dict[str, list[tuple[float, list[float]]]] = {}
    before = card.undisturbed[metric]
    for one in card.levels if before > 0 else ():
        drops = [100 * (before - value) / before for value in one.values(metric)]
        by_kind.setdefault(one.kind, []).append((100 * one.level, drops))
    panels = []
    for kind, rows in by_kind.items():
        levels, drawn = zip(*rows, strict=True)
        means = tuple(spread(drops)[0] for drops in drawn)
        panels.append(
            Panel(kind, (Line("mean over draws", levels, means, tuple(map(min, drawn)), tuple(map(max, drawn))),))
        )
    return panels


def _kinds(card: RobustnessCard) -> Table:
    """Make a table of what the kinds are."""
    kinds = dict.fromkeys(one.kind for one in card.levels)
    columns = (Column("kind"), Column("disturbance"))
    return Table("kinds", "What was disturbed", columns, tuple((kind, DISTURBANCES[kind].ABOUT) for kind in kinds))
