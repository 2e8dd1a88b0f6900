"""Put the results of the benchmarks into docs/performance.md.

    python benchmarks/tables.py runs/bench docs/performance.md

Between ``<!-- NAME -->`` and ``<!-- end -->`` the page gets the table of ``NAME.json`` in the folder; tables whose file
is not there stay as they are.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STEPS = {
    "model": "model",
    "strategy": "strategy",
    "build": "build, s",
    "step": "step, s",
    "ratio": "against FREEDOM",
    "epoch": "epoch, s",
    "peak_mb": "peak, MB",
    "split_ms": "parts, ms",
}
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "incumbents": {
        "model": "model",
        "what": "what",
        "ours_seconds": "flatrec, s",
        "theirs_seconds": "MMRec, s",
        "ratio": "ratio",
        "range": "lowest, highest",
        "with_their_loader": "ratio with loader",
        "our_loss": "loss",
        "their_loss": "theirs",
        "largest_gap": "largest gap of a metric",
    },
    "products": {
        "size": "size",
        "width": "columns",
        "flatrec": "flatrec, ms",
        "torch_csr": "torch CSR",
        "scipy": "SciPy",
        "torch_coo": "torch COO",
        "flatrec_both": "flatrec with backward",
        "torch_coo_both": "torch COO with backward",
        "times_the_least": "times the least bytes",
        "times_the_gathered": "times the gathered bytes",
    },
    "steps": STEPS,
    "steps_clothing": STEPS,
    "baselines": {
        "baseline": "baseline",
        "build": "build, s",
        "ranking": "ranking, s",
        "ratio": "against vectors",
        "peak_mb": "peak, MB",
    },
    "strategies": {
        "model": "model",
        "strategy": "strategy",
        "ms": "ms",
        "plain_ms": "plain, ms",
        "ratio": "ratio",
        "state_copies": "copies kept",
    },
    "methods": {
        "model": "model",
        "method": "method",
        "ms": "ms",
        "plain_ms": "plain, ms",
        "ratio": "ratio",
        "range": "95 % interval",
        "epoch_ratio": "epoch, ratio",
    },
    "evaluation": {
        "dim": "columns",
        "flatrec_seconds": "flatrec, s",
        "numpy_seconds": "NumPy, s",
        "topk_seconds": "torch topk, s",
        "numpy_ratio": "NumPy, ratio",
        "topk_ratio": "topk, ratio",
    },
    "growth": {
        "doubled": "doubled",
        "step_ms": "step, ms",
        "step_ratio": "step, ratio",
        "epoch": "epoch, s",
        "epoch_ratio": "epoch, ratio",
    },
    "memory": {"part": "part", "held_mb": "held after it, MB", "peak_mb": "most within it, MB"},
    "large": {
        "batch_size": "batch",
        "layers": "layers",
        "step": "step, s",
        "ratio": "against float32",
        "steps": "steps per epoch",
        "epoch_minutes": "epoch, minutes",
    },
    "compiled": {
        "model": "model",
        "step": "step, s",
        "compiled_step": "compiled, s",
        "ratio": "ratio",
        "first_two_steps": "first two steps, s",
        "epochs_to_earn_back": "epochs to earn that back",
    },
}


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Markdown, without the columns that no row has."""
    used = {key: title for key, title in columns.items() if any(key in row for row in rows)}
    lines = ["| " + " | ".join(used.values()) + " |", "| --- " * len(used) + "|"]
    lines += ["| " + " | ".join(cell(row.get(key, "")) for key in used) + " |" for row in rows]
    return "\n".join(lines)


def cell(value: object) -> str:
    """One entry."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {number:g}" for name, number in value.items())
    if isinstance(value, list):
        return ", ".join(cell(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str("" if value is None else value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Replace the tables of a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("page", type=Path)
    given = parser.parse_args(arguments)
    page = given.page.read_text(encoding="utf-8")
    for name, columns in COLUMNS.items():
        path = given.results / f"{name}.json"
        if path.exists():
            rows = [row for row in json.loads(path.read_text(encoding="utf-8"))["rows"] if next(iter(columns)) in row]
            text = table(rows, columns)
            place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
            page, found = place.subn(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", page)
            if found != 1:
                raise ValueError(f"expected one place for {name} in {given.page}, but found {found}")
    given.page.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
