"""Writes the tables of docs/choosing-a-model.md: accuracy from the records of the rivals' league, costs from a page.

    python docs/rivals.py

Between ``<!-- rivals -->`` and ``<!-- end -->`` stands one row per method, best first on MovieLens, and between
``<!-- verdicts -->`` and ``<!-- end -->`` one per stated comparison. Costs are those of docs/performance.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from flatrec.models import BASELINES
from flatrec.research.league import read_league, read_season
from flatrec.research.league.results import SeasonResults
from flatrec.research.league.values import Spread, values_of
from flatrec.research.league.verdict import Verdict

DOCS = Path(__file__).parent
LEAGUES = DOCS.parent / "experiments" / "league"
PAGE, COSTS = DOCS / "choosing-a-model.md", DOCS / "performance.md"
NAMES = ("rivals", "rivals-baby")  # of a league's file, and of the folder of its records
TITLES = {"ml-small": "MovieLens", "tiktok": "TikTok", "tiktok-random": "TikTok, random", "baby": "Baby"}
METRIC = "recall@20"


def seasons() -> list[SeasonResults]:
    """The leagues of the rivals."""
    found = []
    for name in NAMES:
        league = read_league(LEAGUES / f"{name}.toml")
        found.append(SeasonResults.of(league, read_season(league, LEAGUES / name)))
    return found


def accuracies(found: Sequence[SeasonResults]) -> dict[str, dict[str, Spread]]:
    """Mean and deviation of each method in each cell, where all of its finals are recorded."""
    rows: dict[str, dict[str, Spread]] = {}
    for season in found:
        for (cell, method), runs in season.runs.items():
            row = rows.setdefault(method, {})
            if runs.is_complete and runs.scored:
                row[cell] = Spread.of(list(values_of(runs, METRIC).by_seed.values()))
    return rows


def rivals_table(found: Sequence[SeasonResults]) -> str:
    """One row per method, in the order of the first data set; then the models of which the costs alone are known."""
    rows, costs = accuracies(found), costs_of(COSTS.read_text(encoding="utf-8"))
    model_of = {method: runs.model for season in found for (_, method), runs in season.runs.items()}
    lines = [
        "| method | " + " | ".join(TITLES.values()) + " | build, s | step, of FREEDOM's | peak, GB |",
        "|---" * (len(TITLES) + 4) + "|",
    ]
    first = next(iter(TITLES))
    for method in sorted({*rows, *costs}, key=lambda name: (-mean_of(rows.get(name, {}).get(first)), name)):
        row = rows.get(method, {})
        cells = [f"{row[cell].mean:.4f} ± {row[cell].deviation or 0:.4f}" if cell in row else "–" for cell in TITLES]
        name = f"**`{method}`**" if model_of.get(method, method) in BASELINES else f"`{method}`"
        lines.append("| " + " | ".join([name, *cells, *costs.get(method, ("–", "–", "–"))]) + " |")
    return "\n".join(lines)


def mean_of(one: Spread | None) -> float:
    """A mean; 0 where there is none."""
    return 0.0 if one is None or one.mean is None else one.mean


def verdicts_table(found: Sequence[SeasonResults]) -> str:
    """One row per comparison in a cell of which there is a test."""
    lines = ["| against EASE | data | difference | p | p after Holm | verdict |", "|---|---|---|---|---|---|"]
    lines += [verdict_row(one) for season in found for one in season.verdicts if one.p is not None]
    return "\n".join(lines)


def verdict_row(one: Verdict) -> str:
    """A comparison."""
    difference, corrected = one.relative(one.difference), one.corrected_p
    word = {"confirmed": "better", "contradicted": "worse"}.get(one.word, one.word)
    cells = [
        f"`{one.comparison.method}`",
        TITLES[one.cell],
        "" if difference is None else f"{100 * difference:+.1f} %".replace("-", "−"),  # noqa: RUF001
        f"{one.p:.2g}",
        "" if corrected is None else f"{corrected:.2g}",
        word,
    ]
    return "| " + " | ".join(cells) + " |"


def costs_of(page: str) -> dict[str, tuple[str, str, str]]:
    """Seconds to build, a plain step against FREEDOM's, and the peak in GB, by model, from the tables of a page."""
    found = {}
    for name in ("steps", "baselines"):
        match = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", page, re.DOTALL)
        assert match is not None, f"expected a table {name} in {COSTS}"
        head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in match[1].strip().splitlines())
        for row in rows:
            values = dict(zip(head, row, strict=True))
            if values.get("strategy", "plain") == "plain":
                model = values.get("model") or values["baseline"]
                peak = f"{float(values['peak, MB']) / 1000:.1f}"
                found[model] = (values.get("build, s", "–"), values.get("against FREEDOM", "–"), peak)
    return found


def filled(page: str, name: str, text: str) -> str:
    """The page with another text in a place."""
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    page, count = place.subn(lambda match: f"{match[1]}{text}\n{match[2]}", page)
    assert count == 1, f"expected one place for {name} in {PAGE}, but found {count}"
    return page


def main() -> None:
    """Write both tables."""
    found = seasons()
    page = filled(PAGE.read_text(encoding="utf-8"), "rivals", rivals_table(found))
    PAGE.write_text(filled(page, "verdicts", verdicts_table(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
