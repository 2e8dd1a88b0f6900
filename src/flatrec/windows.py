"""A rolling evaluation: one run for each of several successive windows of the test period."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flatrec.api import load_to_train, run_experiment, run_or_resume
from flatrec.config import Experiment
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import SPLITS
from flatrec.data.windows import windowed
from flatrec.evaluation.significance import spread
from flatrec.registry.instantiate import with_defaults
from flatrec.runs import run_dir, selection
from flatrec.training import Callback
from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import seal
from flatrec.utils.locks import LOCK, lock_folder


@dataclass(frozen=True)
class WindowsResult:
    """The scores of one experiment over successive windows.

    Args:
        results: the content of each window's ``result.json``, the oldest window first.
        mean: mean of each test metric over the windows.
        deviation: sample standard deviation of each, 0 for one window.
    """

    results: tuple[Mapping[str, Any], ...]
    mean: Mapping[str, float]
    deviation: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return what ``windows.json`` holds."""
        first = self.results[0]
        return {
            "model": first["model"],
            "strategy": first["strategy"],
            "data": first["data"]["name"],
            "seed": first["seed"],
            "windows": [_window(number, result) for number, result in enumerate(self.results, start=1)],
            "mean": dict(self.mean),
            "deviation": dict(self.deviation),
        }


def run_windows(
    experiment: Experiment,
    dataset: Dataset | None = None,
    out: Path | str | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Callable[[int], Sequence[Callback]] = lambda _number: (),
) -> WindowsResult:
    """Train and score an experiment once for each window of its split, each time on all that is older.

    Each window is a run of its own, in ``out/window-1``, ``out/window-2`` and so on; ``out/windows.json`` holds the
    scores of all of them.

    Args:
        experiment: the settings; ``split.windows`` says how many windows there are.
        dataset: the data; by default those that the experiment names.
        out: the folder of the runs; None to keep all in memory.
        resume: read the windows that are finished in ``out``, and go on with the others.
        overwrite: replace the runs in ``out``.
        callbacks: returns the callbacks of the run of a window, given its number, from 1 on.

    Raises:
        ValueError: the split has no windows, a window leaves a split empty, or ``out`` holds windows of other settings
            or other data.
        FileExistsError: ``out`` holds runs, and neither ``resume`` nor ``overwrite`` is given.
    """
    experiment = with_defaults(experiment)
    if resume and (overwrite or out is None):
        raise ValueError("resume needs a folder, and does not go together with overwrite; give one of the two")
    if dataset is None:
        dataset = load_to_train(experiment.data, experiment.split)
    datasets = windowed(dataset.split_again(experiment.split))
    folder = None if out is None else Path(out)
    with nullcontext() if folder is None else _locked(folder, resume=resume, overwrite=overwrite):
        if folder is not None:
            _check_same(folder, experiment, datasets)
            (folder / run_dir.WINDOWS).unlink(missing_ok=True)  # it would not belong to the runs that follow
        selection.log_warnings(warning for data in datasets for warning in selection.choice_warnings(experiment, data))
        results = tuple(
            _result(experiment, data, folder and folder / run_dir.window_name(number), callbacks(number))
            for number, data in enumerate(datasets, start=1)
        )
        summary = _summarize(results)
        if folder is not None:
            write_text(folder / run_dir.WINDOWS, seal(summary.as_dict()) + "\n")
    return summary


@contextmanager
def _locked(folder: Path, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """Make the folder ready for windows, and lock it until the block ends."""
    if run_dir.has_run(folder):
        raise FileExistsError(f"{folder} already holds a run without windows; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder, "trains"):
        begun = [path for path in run_dir.windows(folder) if run_dir.has_run(path)]
        if begun and not (resume or overwrite):
            raise FileExistsError(
                f"{folder} already holds runs over windows; resume them (--resume), replace them (--overwrite), or "
                "choose another folder"
            )
        for path in begun if overwrite else ():
            run_dir.clear(path)
            (path / LOCK).unlink(missing_ok=True)
            with suppress(OSError):  # files of other programs stay
                path.rmdir()
        yield


def _check_same(folder: Path, experiment: Experiment, datasets: Sequence[Dataset]) -> None:
    """Make sure that windows that were begun can go on, before anything is trained or removed."""
    for number, dataset in enumerate(datasets, start=1):
        path = folder / run_dir.window_name(number)
        if run_dir.has_run(path):
            run_dir.check_same(path, experiment, dataset)
    if len(begun := run_dir.windows(folder)) > len(datasets):
        raise ValueError(
            f"{folder} holds runs over {len(begun)} windows, but split.windows is now {len(datasets)}; split as it "
            "was, or train in another folder"
        )


def _result(
    experiment: Experiment, dataset: Dataset, out: Path | None, callbacks: Sequence[Callback]
) -> Mapping[str, Any]:
    """Train one window, or read its result."""
    experiment = experiment.replace(split=dataset.split_report.requested)
    if out is not None:
        return run_or_resume(out, experiment, dataset, callbacks)
    return run_experiment(experiment, dataset, callbacks=callbacks, log_warnings=False).result


def _summarize(results: tuple[Mapping[str, Any], ...]) -> WindowsResult:
    """Summarize the metrics that all windows have."""
    scores = [result["test"] for result in results]
    names = [name for name in scores[0] if all(isinstance(of_window.get(name), float) for of_window in scores)]
    spreads = {name: spread([of_window[name] for of_window in scores]) for name in names}
    return WindowsResult(
        results, {name: mean for name, (mean, _) in spreads.items()}, {name: dev for name, (_, dev) in spreads.items()}
    )


def _window(number: int, result: Mapping[str, Any]) -> dict[str, Any]:
    split = result["data"]["split"]
    dates = {name: split[name] for name in ("valid_from", "test_from", "test_until")}
    return {
        "run": run_dir.window_name(number),
        **dates,
        "interactions": {part: split[part]["interactions"] for part in SPLITS},
        "best_epoch": result["best_epoch"],
        "valid": result["valid"],
        "test": result["test"],
    }
