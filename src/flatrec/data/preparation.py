"""What the preparation of a data set removed, as ``prepare.json`` in its folder says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from flatrec.data.cleaning import CleaningReport, TableCleaningReport

REPORT = "prepare.json"
REMOVED, SKIPPED = "removed", "skipped"
COUNTS = ("prepared_repeats", "filtered_users", "filtered_items", "filtered_interactions", "k_core")
ADVICE = "prepare the data again, or delete it"


def removed_counts(report: CleaningReport) -> dict[str, int]:
    """Return the counts of a report that ``prepare.json`` keeps under ``removed``."""
    return {name: getattr(report, name) for name in COUNTS}


def with_preparation(report: CleaningReport, folder: Path) -> CleaningReport:
    """Add to a report what the preparation of the folder removed; a folder without ``prepare.json`` adds nothing.

    Raises:
        ValueError: ``prepare.json`` is damaged.
    """
    path = folder / REPORT
    if not path.is_file():
        return report
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        removed, skipped = _counts(values.get(REMOVED, {})), values.get(SKIPPED, {})
        tables = [TableCleaningReport(str(name), skipped=tuple(_counts(of).items())) for name, of in skipped.items()]
    except (AttributeError, RecursionError, TypeError, ValueError):
        raise ValueError(f"{path} is damaged (expected counts as whole numbers from 0); {ADVICE}") from None
    added = {name: removed.get(name, 0) + getattr(report, name) for name in COUNTS}
    return replace(report, **added, tables=(*(table for table in tables if any(table.sentences())), *report.tables))


def _counts(values: Mapping[str, object]) -> dict[str, int]:
    """Return counts by name.

    Raises:
        ValueError: a value is not a whole number from 0.
    """
    counts = {str(name): count for name, count in values.items() if type(count) is int and count >= 0}
    if len(counts) != len(values):
        raise ValueError
    return counts
