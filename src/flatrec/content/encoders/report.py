"""What encoding found wrong with the items, as files."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from flatrec.content.encoders.encoding import Report
from flatrec.utils.atomic_write import atomic_write, write_text
from flatrec.utils.csv_cells import no_formulas

SUMMARY, DETAILS = "encoding.json", "encoding.csv"


def write_report(folder: Path, reports: Sequence[Report]) -> None:
    """Write ``encoding.json``, counts and encoders, and ``encoding.csv``, a row an item and remark.

    Raises:
        OSError: a file cannot be written.
    """
    with atomic_write(folder / DETAILS) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["modality", "item", "remark"])
        rows.writerows(
            no_formulas((one.modality, item, remark))
            for one in reports
            for item, remarks in one.remarks.items()
            for remark in remarks
        )
    write_text(folder / SUMMARY, json.dumps([as_dict(one) for one in reports], indent=2, ensure_ascii=False) + "\n")


def as_dict(report: Report) -> dict[str, object]:
    """Everything but the single items."""
    return {key: value for key, value in asdict(report).items() if key != "remarks"} | {"remarks": report.counts}
