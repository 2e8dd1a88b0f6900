"""Report files of the commands that read raw items: counts as JSON, and one CSV row per item and warning."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flatrec.utils.atomic_write import atomic_write
from flatrec.utils.csv_cells import no_formulas


def count_warnings(warnings: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Count the items of each warning, the most frequent first.

    Args:
        warnings: by item; what a server said of a single item stands behind a colon and is not part of the phrase.
    """
    phrases = (warning.split(":")[0] for item_warnings in warnings.values() for warning in item_warnings)
    return dict(Counter(phrases).most_common())


def write_warnings(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV file with one row per item and warning; no cell is a formula in a spreadsheet.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(no_formulas(row) for row in rows)
