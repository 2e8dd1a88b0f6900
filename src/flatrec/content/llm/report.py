"""What rewriting came to, as files."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from flatrec.content.llm.batch_runner import Usage
from flatrec.content.llm.endpoint import Endpoint
from flatrec.utils.atomic_write import atomic_write, write_text
from flatrec.utils.csv_cells import no_formula, no_formulas
from flatrec.utils.integrity import seal

Facts: TypeAlias = Mapping[str, str | int | float | None]


def counted(remarks: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Items by remark, the most frequent first; what an endpoint said of single items counts as one."""
    return dict(Counter(one.split(":")[0] for said in remarks.values() for one in said).most_common())


def summary(
    facts: Facts, remarks: Mapping[str, tuple[str, ...]], usage: Usage, endpoint: Endpoint | None
) -> dict[str, object]:
    """All but the single items; of the endpoint no key, as it holds none."""
    asked = {"endpoint": asdict(endpoint), "usage": asdict(usage)} if endpoint else {}
    return {**facts, "remarks": counted(remarks), **asked}


def shown(new: Mapping[str, str | None], old: Mapping[str, str | None]) -> dict[str, str | None]:
    """New texts for a file that spreadsheets open: no answer is a formula there; what was kept stays as it was."""
    return {item: text if text is None or text == old.get(item) else no_formula(text) for item, text in new.items()}


def write_report(details: Path, remarks: Mapping[str, tuple[str, ...]], facts: Mapping[str, object]) -> None:
    """Write a ``.csv`` with a row an item and remark, and the facts beside it as ``.json``.

    Raises:
        OSError: a file cannot be written.
    """
    with atomic_write(details) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["item", "remark"])
        rows.writerows(no_formulas((item, remark)) for item, said in remarks.items() for remark in said)
    write_text(details.with_suffix(".json"), seal(facts) + "\n")
