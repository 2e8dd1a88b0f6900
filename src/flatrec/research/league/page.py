"""The page of a season: verdicts, a chapter for each cell, and how the season was run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from flatrec.research.league.cost import pareto
from flatrec.research.league.figures import pareto_figure, progress_figure, svg
from flatrec.research.league.results import SeasonResults
from flatrec.research.league.rules_text import rules_text
from flatrec.research.league.runs import MethodRuns
from flatrec.research.league.spec import Cell
from flatrec.research.league.summary import best_of_cell
from flatrec.research.league.tables import budget_table, cost_table, finals_table, robustness_table
from flatrec.research.league.trial_tables import chosen_table, point_text, space_table, trials_table
from flatrec.research.league.verdict_table import verdict_tables
from flatrec.research.reporting.formats import escape_markdown, markdown, metric_name
from flatrec.research.reporting.html import figure_uri
from flatrec.research.reporting.study_report import Chapter, html
from flatrec.research.reporting.study_result import Image, StudyResult, Table

PARETO, CELL = "pareto", "cell"  # kinds of chapters with figures


def html_page(season: SeasonResults) -> str:
    """Return the page: styles, script and figures inside, nothing loaded from anywhere."""
    return html([Chapter(Path(), result, _figures(season, result)) for result in chapters(season)], _title(season))


def markdown_page(season: SeasonResults) -> str:
    """Return the same without figures."""
    parts = [f"# {escape_markdown(_title(season))}\n"]
    for result in (result for result in chapters(season) if result.tables):
        parts.append(f"## {escape_markdown(result.title)}\n")
        if result.findings:
            parts.append("\n".join(f"- {escape_markdown(sentence)}" for sentence in result.findings) + "\n")
        parts += map(markdown, result.tables)
    return "\n".join(parts)


def chapters(season: SeasonResults) -> list[StudyResult]:
    """Return the chapters of the page."""
    question = "Which method is best, what does it cost, and which claims hold?"
    first = StudyResult(
        "verdicts", "What the season says", question, tuple(verdict_tables(season.verdicts)), findings=season.summary()
    )
    return [first, _pareto(season), *(_cell(season, cell) for cell in season.league.cells), _rules(season)]


def _cell(season: SeasonResults, cell: Cell) -> StudyResult:
    runs = season.of_cell(cell.name)
    models = " and ".join(dict.fromkeys(one.model for one in runs))
    metric, monitor = season.metric, season.monitor(cell.name)
    return StudyResult(
        CELL,
        cell.name,
        f"Which method of training is best for {models} here, and what does it cost?",
        tuple(_tables(season, cell.name)),
        tuple(_trials_image(runs, monitor)),
        (best_of_cell(runs, metric), *_gaps(runs)),
        settings={name: str(value) for name, value in cell.settings.items()},
        fingerprints=_fingerprint(cell.name, runs),
    )


def _fingerprint(cell: str, runs: Sequence[MethodRuns]) -> dict[str, str]:
    records = [record for one in runs for record in one.trials]
    return {cell: records[0].fingerprint} if records else {}


def _tables(season: SeasonResults, cell: str) -> Iterator[Table]:
    league, runs = season.league, season.of_cell(cell)
    names = [name for one in runs for record in one.scored for name in record.test]
    if names:
        yield finals_table(league, runs, list(dict.fromkeys([season.metric, *names])))
    if (robustness := robustness_table(league, runs, season.metric)) is not None:
        yield robustness
    if names:
        yield cost_table(runs, season.metric)
    if (budget := budget_table(league, season.runs, cell, season.monitor(cell))) is not None:
        yield budget
    yield chosen_table(runs)
    yield trials_table(runs, season.monitor(cell))


def _gaps(runs: Sequence[MethodRuns]) -> Iterator[str]:
    if gaps := [gap for one in runs for gap in one.gaps]:
        yield f"Missing or diverged: {'; '.join(gaps)}."


def _pareto(season: SeasonResults) -> StudyResult:
    """Return the chapter with the Pareto figure of each cell that has finals."""
    first, metric = season.league.methods[0].name, metric_name(season.metric)
    caption = (
        f"{metric} on the test split against seconds of training: means over finals, bars of one standard deviation. "
        f"Filled and joined: methods that no other one dominates. Square: {first}, the baseline of costs."
    )
    images = [
        Image(cell.name, f"Quality against cost, {cell.name}", caption)
        for cell in season.league.cells
        if pareto(season.of_cell(cell.name), season.metric)
    ]
    findings = () if images else ("No final is recorded yet.",)
    return StudyResult(PARETO, "Quality against cost", "What does quality cost?", (), tuple(images), findings)


def _trials_image(runs: Sequence[MethodRuns], monitor: str) -> Iterator[Image]:
    if any(record.score is not None for one in runs for record in one.trials):
        caption = f"The best validation {metric_name(monitor)} so far, over the trials of each method."
        yield Image("trials", f"Validation over trials, {runs[0].cell}", caption)


def _figures(season: SeasonResults, result: StudyResult) -> dict[str, str]:
    """Draw the figures of a chapter, as data URIs by their names."""
    return {image.name: figure_uri(_svg(season, result, image)) for image in result.images}


def _svg(season: SeasonResults, result: StudyResult, image: Image) -> bytes:
    if result.study == CELL:
        runs = season.of_cell(result.title)
        return svg(progress_figure(runs, season.monitor(result.title)), f"trials {result.title}")
    points = pareto(season.of_cell(image.name), season.metric)
    return svg(pareto_figure(points, season.metric, season.league.methods[0].name), f"pareto {image.name}")


def _rules(season: SeasonResults) -> StudyResult:
    league = season.league
    return StudyResult(
        "rules",
        "How the season was run",
        "Are all methods treated alike?",
        (space_table(league, list(season.runs.values())),),
        findings=rules_text(league),
        settings={name: point_text({name: value}).partition(" = ")[2] for name, value in league.settings.items()},
    )


def _title(season: SeasonResults) -> str:
    return season.league.rules.title
