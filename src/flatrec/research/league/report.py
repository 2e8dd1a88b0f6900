"""The reports of a season: JSON with everything, Markdown, and a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flatrec.research.league.as_json import season_json
from flatrec.research.league.page import html_page, markdown_page
from flatrec.research.league.results import SeasonResults
from flatrec.research.league.season import Finished, read_season
from flatrec.research.league.spec import League
from flatrec.utils.atomic_write import write_text

JSON, MARKDOWN, PAGE = "league.json", "league.md", "league.html"


def write_reports(league: League, finished: Finished, out: Path) -> SeasonResults:
    """Write ``league.json``, ``league.md`` and ``league.html``; equal records give equal bytes.

    Args:
        league: the league.
        finished: what is recorded of it.
        out: folder of the reports.

    Raises:
        ModuleNotFoundError: jinja2 or matplotlib is not installed.
        OSError: the folder cannot be written to.
    """
    season = SeasonResults.of(league, finished)
    texts = {
        JSON: json.dumps(season_json(season), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        MARKDOWN: markdown_page(season),
        PAGE: html_page(season),
    }
    for name, text in texts.items():
        write_text(out / name, text)
    return season


def with_other_cells(league: League, finished: Finished, out: Path, cells: Sequence[str]) -> Finished:
    """Add what is recorded of the cells that were not run.

    Args:
        league: the league.
        finished: what is recorded of the cells that were run.
        out: folder of the records.
        cells: names of the cells that were run; empty for all.

    Raises:
        ValueError: a record is damaged, or records of another cell are of different data.
    """
    if not cells:
        return finished
    recorded = read_season(league, out)
    return replace(
        finished,
        trials=finished.trials + tuple(record for record in recorded.trials if record.cell not in cells),
        finals=finished.finals + tuple(record for record in recorded.finals if record.cell not in cells),
    )
