"""The final fit: the settings of a run and its number of epochs, on all interactions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flatrec.api import load, log_data_warnings, run_experiment
from flatrec.config import Evaluation, Experiment, SplitSettings
from flatrec.data.dataset import Dataset
from flatrec.inference.run import Run
from flatrec.models import Model
from flatrec.registry.naming import of_run
from flatrec.runs import run_dir
from flatrec.runs.origin import Origin
from flatrec.runs.warm_start import read_warm_start
from flatrec.strategies import Strategy
from flatrec.training import Callback
from flatrec.utils import user_classes


class FinalFit(NamedTuple):
    """What a final fit is made of: its settings, all interactions in training, and the run that it repeats."""

    experiment: Experiment
    dataset: Dataset
    origin: Origin


def refit(
    path: Path | str,
    out: Path | str | None = None,
    *,
    data: str | Dataset | None = None,
    device: str | None = None,
    model: type[Model] | str | None = None,
    strategy: type[Strategy] | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    init_from: Path | str | None = None,
) -> Run:
    """Train a run again on all of its interactions, for as many epochs as it chose.

    Model, strategy, seed and all other settings are those of the run; validation and test interactions are trained on
    as well, so that nothing is left to score. The result names the run and its scores under ``refit``.

    Args:
        path: the folder of a finished run.
        out: the folder of the final fit; None to keep all in memory.
        data: other data, such as newer ones of the same shop, or where the data are now; the number of epochs stays
            that of the run.
        device: ``auto``, ``cpu`` or ``cuda``; by default that of the run.
        model: the class of a run that was made with one of your own, or its place.
        strategy: the same for the strategy.
        resume: go on with the final fit in ``out``.
        overwrite: replace the run in ``out``.
        callbacks: objects that are told of the progress.
        init_from: the folder of an earlier run, such as the last final fit, whose parameters training begins with. A
            run that began so itself chose its number of epochs for such a beginning, and needs one.

    Raises:
        FileNotFoundError: there is no finished run, or its data are gone.
        ValueError: the run is damaged, its data or classes have changed, ``out`` is its own folder, or the run began
            with the parameters of an earlier run and ``init_from`` names none.
        FileExistsError: ``out`` holds a run, and neither ``resume`` nor ``overwrite`` is given.
        DivergedError: ten steps in a row, or all of an epoch, had no finite gradient.
    """
    fit = final_fit(path, out, data=data, device=device, model=model, strategy=strategy)
    check_beginning(path, out, init_from, resume=resume)
    return run_experiment(
        fit.experiment,
        fit.dataset,
        Path(out) if out else None,
        resume=resume,
        overwrite=overwrite,
        callbacks=callbacks,
        origin=fit.origin,
        init_from=Path(init_from) if init_from else None,
    )


def check_beginning(path: Path | str, out: Path | str | None, init_from: Path | str | None, *, resume: bool) -> None:
    """Refuse to fit for a number of epochs that was chosen for a warm start without one.

    Args:
        path: the folder of the run that is repeated.
        out: the folder of the final fit.
        init_from: the folder of the run that the final fit starts from.
        resume: whether the final fit in ``out`` goes on, whose folder says where it started.

    Raises:
        ValueError: the run began with the parameters of an earlier run, and the final fit would not.
    """
    start = read_warm_start(Path(path))
    goes_on = resume and out is not None and run_dir.has_run(Path(out))
    if start is not None and init_from is None and not goes_on:
        raise ValueError(
            f"{path} began with the parameters of {start.run}, and its number of epochs is right for such a beginning "
            "alone; name a run to start from (--init-from), such as the last final fit"
        )


def final_fit(
    path: Path | str,
    out: Path | str | None = None,
    *,
    data: str | Dataset | None = None,
    device: str | None = None,
    model: type[Model] | str | None = None,
    strategy: type[Strategy] | str | None = None,
) -> FinalFit:
    """Return the parts of the final fit of a run, without training; the arguments are those of :func:`refit`.

    Raises:
        FileNotFoundError: there is no finished run, or its data are gone.
        ValueError: the run is damaged, its data or classes have changed, or ``out`` is its own folder.
    """
    path = Path(path)
    run_dir.read_result(path)  # refuses what is not finished before any data are read
    if out is not None and Path(out).resolve() == path.resolve():
        raise ValueError(f"{out} is the run that is to be refitted; choose another folder for the final fit")
    recorded = run_dir.read_experiment(path)
    dataset = _split_as_before(recorded, data)
    if data is None:
        run_dir.check_data(path, dataset)
    origin = _origin_of(path, dataset.fingerprint)
    dataset = dataset.split_again(SplitSettings(method="none"))
    log_data_warnings(dataset)
    settings = _on_all_interactions(recorded, origin).replace(
        device=device or recorded.device,
        model=of_run(recorded.model, "model", model),
        strategy=of_run(recorded.strategy, "strategy", strategy),
    )
    return FinalFit(settings, dataset, origin)


def _origin_of(path: Path, fingerprint: str) -> Origin:
    """Return the run in a folder as the origin of a final fit on data that have this fingerprint in its split."""
    result = run_dir.read_result(path)
    return Origin(
        run=str(path.resolve()),
        identity=run_dir.recorded_identity(path),
        selected=result["selected"],
        epochs=result["best_epoch"],
        data={key: result["data"][key] for key in ("name", "path", "fingerprint")},
        other_data=fingerprint != result["data"]["fingerprint"],
        valid=result["valid"],
        test=result["test"],
        refit=result.get("refit"),
    )


def _split_as_before(recorded: Experiment, data: str | Dataset | None) -> Dataset:
    """Return the data in the split of the run, by which they are told from other data; other data in any split."""
    try:
        return (
            data.split_again(recorded.split)
            if isinstance(data, Dataset)
            else load(data or recorded.data, recorded.split)
        )
    except ValueError:
        if data is None:
            raise
        return data if isinstance(data, Dataset) else load(data)  # a cut date may lie outside of newer data


def _on_all_interactions(recorded: Experiment, origin: Origin) -> Experiment:
    """Return the settings of a run for all interactions; nothing is scored, so metrics of the user's own fall away.

    Nor can validation decide which epochs are averaged: in place of ASWA all of them are.
    """
    average = "swa" if recorded.training.average == "aswa" else recorded.training.average
    training = recorded.training.replace(select="last", average=average)
    if origin.epochs:  # a baseline has none
        training = training.replace(epochs=origin.epochs)
    metrics = tuple(metric for metric in recorded.evaluation.metrics if not user_classes.is_own(metric))
    return recorded.replace(
        training=training,
        evaluation=recorded.evaluation.replace(metrics=metrics or Evaluation().metrics),
        split=SplitSettings(method="none"),
    )
