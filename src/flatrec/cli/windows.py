"""Training over successive windows, for flatrec train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.cli.progress import ProgressBar

if TYPE_CHECKING:
    from flatrec.config import Experiment
    from flatrec.data.dataset import Dataset
    from flatrec.windows import WindowsResult


def train_windows(
    experiment: Experiment, dataset: Dataset, out: Path, *, resume: bool, overwrite: bool, json: bool
) -> None:
    """Train once for each window, and print the scores of all."""
    from flatrec.runs import run_dir
    from flatrec.windows import run_windows

    result = run_windows(
        experiment,
        dataset,
        out,
        resume=resume,
        overwrite=overwrite,
        callbacks=lambda number: [ProgressBar(f"window {number}")],
    )
    if json:
        print_json(result.as_dict())
        return
    _print(result)
    print_text(f"The runs are in {out}, their scores in {out / run_dir.WINDOWS}")


def _print(result: WindowsResult) -> None:
    summary = result.as_dict()
    windows = summary["windows"]
    dates = [
        [number, window["test_from"], window["test_until"], *window["interactions"].values()]
        for number, window in enumerate(windows, start=1)
    ]
    print_table("windows (UTC)", ["", "test from", "test until", "train", "valid", "test"], dates)
    rows = [
        [name, *(window["test"][name] for window in windows), mean, summary["deviation"][name]]
        for name, mean in summary["mean"].items()
    ]
    numbers = [f"window {number}" for number in range(1, len(windows) + 1)]
    print_table(f"{summary['data']}, test", ["metric", *numbers, "mean", "deviation"], rows)
