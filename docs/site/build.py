"""Builds the site of the documents in build/site and checks it; `make docs` runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from formulas import with_formulas
from line_breaks import with_line_breaks
from links import faults
from sources import Sources

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"


def build() -> list[str]:
    """Build the site and return what is wrong with it."""
    Sources(ROOT, ROOT / "build" / "site-source").write()
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "docs" / "site"), str(ROOT / "docs")])},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        return [_COLORS.sub("", done.stdout)]
    for page in SITE.rglob("*.html"):
        page.write_text(with_line_breaks(with_formulas(page.read_text(encoding="utf-8"))), encoding="utf-8")
    return faults(SITE)


_COLORS = re.compile(r"\x1b\[[\d;]*m")

if __name__ == "__main__":
    found = build()
    sys.stdout.write("".join(f"{one}\n" for one in found) or f"{SITE / 'index.html'} is built; no fault was found\n")
    sys.exit(1 if found else 0)
