"""What every benchmark does with its rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flatrec.utils.provenance import versions


def record(rows: Iterable[Mapping[str, Any]], out: Path | None, **facts: object) -> None:
    """Print each row as a line of JSON as soon as it is there, and write all of them where a file is given.

    Args:
        rows: what was measured.
        out: the file.
        facts: how it was measured; versions and the number of threads are added.
    """
    found = []
    for row in rows:
        print(json.dumps(row), flush=True)
        found.append(row)
    if out:
        out.write_text(json.dumps({"versions": versions(), **facts, "rows": found}))
