"""What one calls from Python: train by names or objects, carry out an experiment, load a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from flatrec.config import Component, Evaluation, Experiment, Option, Options, Regularization, SplitSettings, Training
from flatrec.data.dataset import Dataset
from flatrec.data.loading import load_data
from flatrec.data.shop import ShopSettings, generate
from flatrec.data.tables.logged import LoggedEvents
from flatrec.evaluation.metrics import Metric
from flatrec.inference.run import Run, scoring_of
from flatrec.models import Model
from flatrec.ops.process_group import ProcessGroup
from flatrec.parallel.processes import process_group
from flatrec.parallel.refusals import check_shareable, check_started
from flatrec.registry.instantiate import build_strategy, own_defaults, with_defaults
from flatrec.registry.model_defaults import defaults_sentence
from flatrec.registry.naming import import_loggers, import_metrics, import_metrics_of_run, import_named, of_run
from flatrec.registry.objects import model_component, strategy_component
from flatrec.runs import objective, run_dir
from flatrec.runs.origin import Origin
from flatrec.runs.session import Session, choose_device
from flatrec.runs.transfer import take_parameters
from flatrec.runs.warm_start import read_warm_start
from flatrec.strategies import Strategy
from flatrec.training import Callback, checkpoint
from flatrec.training.records import read_lines
from flatrec.training.trainer import CHECKPOINT, RECORDS, load_parameters
from flatrec.utils.messages import message
from flatrec.utils.processes import Processes

logger = logging.getLogger(__name__)


def fit(
    dataset: Dataset,
    model: Model | type[Model] | str = "freedom",
    strategy: Strategy | type[Strategy] | str | None = None,
    *,
    optimizer: str | None = None,
    model_settings: Mapping[str, Option] | None = None,
    strategy_settings: Mapping[str, Option] | None = None,
    optimizer_settings: Mapping[str, Option] | None = None,
    regularization: Regularization | None = None,
    training: Training | None = None,
    evaluation: Evaluation | None = None,
    seed: int = 0,
    device: str = "auto",
    out: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    init_from: Path | str | None = None,
) -> Run:
    """Train a recommender and score it once on the test split.

    What is left out has the model's own default (``DEFAULTS`` of its class), else the general one, which is ``plain``
    for the strategy and ``adam`` for the optimizer. :func:`run_experiment` takes every setting that there is.

    Args:
        dataset: what to learn from.
        model: a name; a class of your own or its place, such as ``mine.py:Mine``; or a model made from this data set
            (its initial parameters are then the caller's).
        strategy: a name, a class or its place (with a ``+`` to mix it), or a strategy.
        optimizer: a name; see ``flatrec list optimizers``.
        model_settings: for a model given by name or class.
        strategy_settings: for a strategy given by name or class.
        optimizer_settings: such as ``{"lr": 0.001}``.
        regularization: the penalty on the model's free rows.
        training: how long and in which portions the model is trained.
        evaluation: what is measured.
        seed: of everything random.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` and so on, or ``mps``.
        out: a folder for checkpoints, curves and the result; needs model and strategy by name or class, so that the
            run can be loaded again.
        resume: go on with the run in ``out``.
        overwrite: replace the run in ``out``.
        callbacks: objects that are told of the progress.
        init_from: the folder of an earlier run of the same model, whose parameters training begins with: rows of users
            and items by their ids. New users and items keep their initial parameters; the optimizer starts fresh.

    Raises:
        ValueError: a setting is unknown or out of range, or the data do not fit the model; or the earlier run has
            another model, other widths, or nobody in common.
        FileNotFoundError: there is no earlier run.
        FileExistsError: ``out`` holds a run, and neither ``resume`` nor ``overwrite`` is given.
        DivergedError: ten steps in a row, or all of an epoch, had no finite gradient.
    """
    model_object = model if isinstance(model, Model) else None
    strategy_object = strategy if isinstance(strategy, Strategy) else None
    _check_objects(model_object, model_settings, "model", out)
    _check_objects(strategy_object, strategy_settings, "strategy", out)
    experiment = Experiment(
        data=dataset.source or "",
        model=model_component(model)
        if isinstance(model, Model)
        else Component(import_named("model", model), dict(model_settings or {})),
        strategy=strategy_component(strategy)
        if isinstance(strategy, Strategy)
        else _component("strategy", _imported_strategy(strategy), strategy_settings),
        optimizer=_component("optimizer", optimizer, optimizer_settings),
        regularization=regularization or Regularization(),
        training=import_loggers(training or Training()),
        evaluation=_with_imported(evaluation or Evaluation()),
        seed=seed,
    ).replace(device=device)
    log_data_warnings(dataset)
    return run_experiment(
        experiment,
        dataset,
        Path(out) if out else None,
        resume=resume,
        overwrite=overwrite,
        callbacks=callbacks,
        model=model_object,
        strategy=strategy_object,
        init_from=Path(init_from) if init_from else None,
    )


def _imported_strategy(strategy: type[Strategy] | str | None) -> str | None:
    return None if strategy is None else import_named("strategy", strategy)


def _component(group: Literal["strategy", "optimizer"], name: str | None, settings: Options | None) -> Component:
    """A component as the arguments state it; without a name that of the defaults."""
    default: Component = Experiment.model_fields[group].default
    return Component(default.name if name is None else name, dict(settings or {}), named=name is not None)


def _with_imported(evaluation: Evaluation) -> Evaluation:
    return evaluation.replace(metrics=import_metrics(evaluation.metrics))


def _check_objects(
    given: Model | Strategy | None, settings: Mapping[str, Option] | None, what: str, out: Path | str | None
) -> None:
    if given is not None and out is not None:
        raise ValueError(
            "a run folder needs model and strategy by name or class, so that it can be loaded again; leave out "
            "`out`, or give names or classes, and settings"
        )
    if given is not None and settings:
        raise ValueError(f"{what}_settings are for a {what} given by name; put them into the {what} itself")


def _check_size(model: Model, dataset: Dataset) -> None:
    scoring = scoring_of(model)
    users, items = scoring.n_users, scoring.n_items
    if (users, items) != (dataset.n_users, dataset.n_items):
        raise ValueError(
            f"the model is for {users} users and {items} items, the data set has {dataset.n_users} and "
            f"{dataset.n_items}; make it from this data set"
        )


def run_experiment(
    experiment: Experiment,
    dataset: Dataset | None = None,
    out: Path | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    log_warnings: bool = True,
    model: Model | None = None,
    strategy: Strategy | None = None,
    origin: Origin | None = None,
    init_from: Path | None = None,
    save_recommender: bool = True,
) -> Run:
    """Carry out an experiment; the same as :func:`fit` from settings alone.

    Args:
        experiment: the settings; what is left out has the model's own default, else the general one.
        dataset: the data, where they are in memory already.
        out: the run folder; None to keep all in memory.
        resume: go on with the run in ``out``.
        overwrite: replace the run in ``out``.
        callbacks: objects that are told of the progress.
        log_warnings: whether to log what :func:`flatrec.runs.selection.choice_warnings` finds; not where it was logged
            once for many runs.
        model: the object to train, where there is one already; ``experiment`` says what is recorded of it.
        strategy: the same for the strategy.
        origin: the run that is repeated, if this is a final fit.
        init_from: the folder of an earlier run whose parameters training begins with, as in :func:`fit`.
        save_recommender: whether the run folder gets a recommender, where ``training.save_recommender`` is ``auto``.

    Raises:
        ValueError: a setting is unknown or out of range, or the data or the earlier run do not fit the model; or
            several processes were started that cannot share the work.
        FileNotFoundError: there are no such data, or there is no earlier run.
        FileExistsError: ``out`` holds a run, and neither ``resume`` nor ``overwrite`` is given.
        DivergedError: ten steps in a row, or all of an epoch, had no finite gradient.
        LostProcessError: of several processes that share the work, one is gone.
    """
    kind = None if model is None else type(model)
    if log_warnings and (taken := defaults_sentence(own_defaults(experiment, kind))):
        logger.info("%s", taken)
    experiment, processes = with_defaults(experiment, kind), Processes.of_environment()
    check_started(experiment, processes)
    if resume and (overwrite or out is None):
        raise ValueError("resume needs a run folder, and does not go together with overwrite; give one of the two")
    data = (
        load_to_train(experiment.data, experiment.split) if dataset is None else dataset.split_again(experiment.split)
    )
    check_undivided(data)
    experiment = experiment.replace(data=data.source or "", split=data.split_report.requested)
    if strategy is None:
        strategy = build_strategy(experiment.strategy)
    if model is not None:
        _check_size(model, data)
        objective.apply(experiment, model)
    built = objective.build_with_objective(experiment, data) if model is None else model
    if processes.size > 1:
        check_shareable(experiment, built, strategy, processes.size)
    start = take_parameters(init_from, out, built, data, resume=resume, load=load)
    with process_group(experiment, processes) as group:
        whole = built if group is None or start is None else deepcopy(built)  # a run folder keeps its values
        session = Session(
            experiment,
            data,
            built,
            strategy,
            out=out,
            callbacks=callbacks,
            log_warnings=log_warnings,
            origin=origin,
            start=start,
            save_recommender=save_recommender,
            group=group,
        )
        if out is None:
            return session.run(resume=False)
        # Last of all, so that what cannot be trained leaves no folder behind.
        with _locked_by_first(
            group,
            run_dir.lock_run_dir(
                out, experiment, data, resume=resume, overwrite=overwrite, origin=origin, start=start, model=whole
            ),
        ):
            return session.run(resume=resume)


@contextmanager
def _locked_by_first(group: ProcessGroup | None, lock: AbstractContextManager[None]) -> Iterator[None]:
    """Context manager in which the first of several processes holds the lock of a run folder for all of them."""
    with lock if group is None or group.is_first else nullcontext():
        if group is not None:
            group.wait()
        yield


def check_undivided(dataset: Dataset) -> None:
    """Make sure that the test period of a data set is not divided into windows, which need a run each.

    Raises:
        ValueError: it is.
    """
    if n_windows := dataset.split_report.settings.windows:
        raise ValueError(
            f"split.windows is {n_windows}, which needs one run for each window: use flatrec train, or "
            "flatrec.run_windows in Python, or set split.windows = 0"
        )


def run_or_resume(
    path: Path, experiment: Experiment, dataset: Dataset, callbacks: Sequence[Callback] = ()
) -> dict[str, Any]:
    """The result of a run: read where it is there already, else trained, going on from a checkpoint if any.

    The caller logs what :func:`flatrec.runs.selection.choice_warnings` finds, once for all runs.
    """
    resume, experiment = run_dir.has_run(path), with_defaults(experiment)
    if resume and (path / run_dir.RESULT).exists():
        run_dir.check_same(path, experiment, dataset)
        result = run_dir.read_result(path)
        if result["settings"]["training"]["epochs"] == experiment.training.epochs:
            return result
    run = run_experiment(
        experiment, dataset, path, resume=resume, callbacks=callbacks, log_warnings=False, save_recommender=False
    )
    return dict(run.result)


def load_run(
    path: Path | str,
    data: str | Dataset | None = None,
    device: str = "auto",
    model: type[Model] | str | None = None,
    *,
    metrics: Sequence[type[Metric] | str] = (),
) -> Run:
    """A finished run from its folder, at its best parameters.

    The model is built again, for which the data must be those that it was trained on. Without them, the recommender in
    the folder answers: :func:`flatrec.load_recommender`.

    Args:
        path: the run folder.
        data: where the data are now, if not where the run found them, or the data themselves.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` and so on, or ``mps``.
        model: the class of a run that was made with one of your own, or its place; code is run only where it is named.
        metrics: the classes of the run's metrics that are your own, or their places; one that is not named is left out
            of evaluations.

    Raises:
        FileNotFoundError: there is no run, or its data are gone.
        ValueError: the folder is damaged, the data or a class have changed since, or the model's class is not named.
    """
    path = Path(path)
    result = run_dir.read_result(path)
    recorded = run_dir.read_experiment(path)
    experiment = recorded.replace(device=device, model=of_run(recorded.model, "model", model))
    import_metrics_of_run(recorded.evaluation.metrics, metrics)
    split = experiment.split
    try:
        dataset = data.split_again(split) if isinstance(data, Dataset) else load(data or experiment.data, split)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{message(error)}{run_dir.advice_without_data(path)}") from None
    run_dir.check_data(path, dataset)
    saved = checkpoint.load(path / CHECKPOINT)
    run_dir.identity(recorded, dataset, read_warm_start(path)).check(saved.metadata.get("run"), path / CHECKPOINT)
    built = objective.build_with_objective(experiment, dataset)
    if isinstance(built, Model):
        load_parameters(built, saved, best=True)
        built.to(choose_device(experiment)).eval()
    records = read_lines(path / RECORDS)
    return replace(Run.of(dataset, built, experiment.evaluation), result=result, records=records)


def load(data: str, split: SplitSettings | None = None, *, logged: LoggedEvents | None = None) -> Dataset:
    """The data set that an experiment names: ``shop`` is the built-in one, anything else a path.

    Args:
        data: the name or path.
        split: how to split the data; what is left out is as they say.
        logged: the events of a log that are joined to those of the data.

    Raises:
        FileNotFoundError: there is no such path.
        ValueError: it cannot be read or joined with a log, or no path is known.
    """
    if not data:
        raise ValueError("the run was made from data in memory; give them: load_run(folder, dataset), or --data PATH")
    if data != "shop":
        return load_data(data, split, logged=logged)
    if logged is not None:
        raise ValueError("the built-in shop takes no events of a log; name the data of the shop that has the log")
    if Path(data).exists():
        logger.warning("'shop' is the built-in shop, not the folder of this name: for the folder write ./shop")
    shop = replace(generate(ShopSettings()).dataset, source="shop")
    return shop if split is None else shop.split_again(split)


def load_to_train(data: str, split: SplitSettings | None = None) -> Dataset:
    """The same, for a command that trains on it: it says once what a user should know of the data.

    Raises:
        FileNotFoundError: there is no such path.
        ValueError: it cannot be read, or no path is known.
    """
    dataset = load(data, split)
    log_data_warnings(dataset)
    return dataset


def log_data_warnings(dataset: Dataset) -> None:
    """Log what reading left out or changed, and what else a user should know of the data before training on them."""
    for sentence in dataset.warnings:
        logger.warning("%s: %s", dataset.name, sentence)
