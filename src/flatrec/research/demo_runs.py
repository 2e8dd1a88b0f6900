"""The runs of a demo that is there already."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from flatrec.inference.storage import has_recommender
from flatrec.research.comparison import run_folder
from flatrec.research.demo import PAGE, RUNS, DemoSettings


class DemoRuns(NamedTuple):
    """Run folders of a demo.

    Args:
        source: the run that recommends: of the last strategy, with the first seed.
        baseline: the run of the first strategy, with the same seed.
    """

    source: Path
    baseline: Path


def finished_demo(out: Path, settings: DemoSettings | None = None) -> DemoRuns | None:
    """Return the runs of a finished demo; None if a folder holds none, or one whose runs have no recommenders."""
    settings = settings or DemoSettings()
    seed, strategies = settings.seeds[0], settings.strategies
    runs = DemoRuns(*(run_folder(out / RUNS, name, seed) for name in (strategies[-1], strategies[0])))
    return runs if (out / PAGE).is_file() and all(map(has_recommender, runs)) else None
