"""The one place that wires data, model, strategy, trainer and evaluator together."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from flatrec import config
from flatrec.config import AMR, Component, Evaluation, Experiment, Option, Training
from flatrec.data.batches import Sampler
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import SPLITS
from flatrec.data.loading import load_data
from flatrec.data.shop import ShopSettings, generate
from flatrec.inference.run import Run, user_item_embeddings
from flatrec.models import Adversarial, Baseline, Model
from flatrec.ops.matmul import onednn_pays
from flatrec.registry.instantiate import build_model, build_strategy, with_defaults
from flatrec.registry.naming import import_named, of_run
from flatrec.registry.recorded import model_component, strategy_component
from flatrec.runs import run_dir, selection
from flatrec.strategies import Strategy
from flatrec.training import Callback, EpochRecord, FitResult, TensorBoard, Trainer, checkpoint, optimizers
from flatrec.training.step_context import TrainStepContext
from flatrec.training.trainer import CHECKPOINT, load_parameters
from flatrec.utils.provenance import machine, peak_gpu_memory_mb, peak_memory_mb, reset_peak_gpu_memory, versions

logger = logging.getLogger(__name__)


def fit(
    dataset: Dataset,
    model: Model | type[Model] | str = "freedom",
    strategy: Strategy | type[Strategy] | str = "bsam+",
    *,
    optimizer: str = "adam",
    model_settings: Mapping[str, Option] | None = None,
    strategy_settings: Mapping[str, Option] | None = None,
    optimizer_settings: Mapping[str, Option] | None = None,
    training: Training | None = None,
    evaluation: Evaluation | None = None,
    seed: int = 0,
    device: str = "auto",
    out: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Train a recommender and score it once on the test part.

    Args:
        dataset: what to learn from.
        model: a name; a class of your own or its place, such as ``mine.py:Mine``; or a model made from this data set
            (its initial parameters are then the caller's, and its settings are not recorded).
        strategy: a name, a class or its place (with a ``+`` to mix it), or a strategy.
        optimizer: a name; see ``flatrec list optimizers``.
        model_settings: for a model given by name or class.
        strategy_settings: for a strategy given by name or class.
        optimizer_settings: such as ``{"lr": 0.001}``.
        training: lengths and portions.
        evaluation: what is measured.
        seed: of everything random.
        device: ``auto``, ``cpu`` or ``cuda``.
        out: a folder for checkpoints, curves and the result; needs model and strategy by name or class, so that the
            run can be loaded again.
        resume: go on with the run in ``out``.
        overwrite: replace the run in ``out``.
        callbacks: objects that are told of the progress.

    Raises:
        ValueError: a setting is unknown or out of range, or the data do not fit the model.
        FileExistsError: ``out`` holds a run, and neither ``resume`` nor ``overwrite`` is given.
        DivergedError: ten steps in a row, or all of an epoch, had no finite gradient.
    """
    objects = [
        what for what, given in (("model", model), ("strategy", strategy)) if isinstance(given, (Model, Strategy))
    ]
    if out is not None and objects:
        raise ValueError(
            "a run folder needs model and strategy by name or class, so that it can be loaded again; leave out "
            "`out`, or give names or classes, and settings"
        )
    for what, settings in (("model", model_settings), ("strategy", strategy_settings)):
        if settings and what in objects:
            raise ValueError(f"{what}_settings are for a {what} given by name; put them into the {what} itself")
    experiment = Experiment(
        data=dataset.source or "",
        model=model_component(model)
        if isinstance(model, Model)
        else Component(import_named("model", model), dict(model_settings or {})),
        strategy=strategy_component(strategy)
        if isinstance(strategy, Strategy)
        else Component(import_named("strategy", strategy), dict(strategy_settings or {})),
        optimizer=Component(optimizer, dict(optimizer_settings or {})),
        training=training or Training(),
        evaluation=evaluation or Evaluation(),
        seed=seed,
    )
    experiment = config.changed(experiment, {"device": device})
    announce(dataset)
    if not objects:
        return run_experiment(
            experiment, dataset, Path(out) if out else None, resume=resume, overwrite=overwrite, callbacks=callbacks
        )
    experiment = with_defaults(experiment, objects=objects)
    made = _fitting(model, dataset) if isinstance(model, Model) else build_model(experiment.model, dataset, seed)
    step = strategy if isinstance(strategy, Strategy) else build_strategy(experiment.strategy)
    return _Session(experiment, dataset, made, step, callbacks=callbacks).run(resume=False)


def _fitting(model: Model, dataset: Dataset) -> Model:
    sizes = tuple(len(one) for one in user_item_embeddings(model))
    if sizes != (dataset.n_users, dataset.n_items):
        raise ValueError(
            f"the model is for {sizes[0]} users and {sizes[1]} items, the data set has {dataset.n_users} and "
            f"{dataset.n_items}; make it from this data set"
        )
    return model


def run_experiment(
    experiment: Experiment,
    dataset: Dataset | None = None,
    out: Path | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    announce: bool = True,
) -> Run:
    """Carry out an experiment; the same as :func:`fit` from settings alone.

    Args:
        experiment: the settings; what is left out takes its default.
        dataset: the data, where they are in memory already.
        out: the run folder; None to keep all in memory.
        resume: go on with the run in ``out``.
        overwrite: replace the run in ``out``.
        callbacks: objects that are told of the progress.
        announce: whether to log :func:`flatrec.runs.selection.remarks`; not where they were logged for many runs at
            once.

    Raises:
        ValueError: a setting is unknown or out of range, or the data do not fit the model.
        FileNotFoundError: there is no such data.
        FileExistsError: ``out`` holds a run, and neither ``resume`` nor ``overwrite`` is given.
        DivergedError: ten steps in a row, or all of an epoch, had no finite gradient.
    """
    experiment = with_defaults(experiment)
    if resume and (overwrite or out is None):
        raise ValueError("resume needs a run folder, and does not go together with overwrite; give one of the two")
    _check_finite(experiment)
    data = dataset if dataset is not None else load_to_train(experiment.data)
    experiment = replace(experiment, data=data.source or experiment.data)
    strategy = build_strategy(experiment.strategy)
    model = build_model(experiment.model, data, experiment.seed)
    session = _Session(experiment, data, model, strategy, out=out, callbacks=callbacks, announce=announce)
    if out is None:
        return session.run(resume=False)
    # Last of all, so that what cannot be trained leaves no folder behind.
    with run_dir.lock_run_dir(out, experiment, data, resume=resume, overwrite=overwrite):
        return session.run(resume=resume)


def run_or_resume(
    path: Path, experiment: Experiment, dataset: Dataset, callbacks: Sequence[Callback] = ()
) -> dict[str, Any]:
    """The result of a run: read where it is there already, else trained, going on from a checkpoint if any.

    What :func:`flatrec.runs.selection.remarks` has to say is left to the caller, who says it once for all runs.
    """
    resume = run_dir.has_run(path)
    if resume and (path / run_dir.RESULT).exists():
        run_dir.check_same(path, with_defaults(experiment), dataset)
        result = run_dir.read_result(path)
        if result["settings"]["training"]["epochs"] == experiment.training.epochs:
            return result
    run = run_experiment(experiment, dataset, path, resume=resume, callbacks=callbacks, announce=False)
    return dict(run.result)


def _check_finite(experiment: Experiment) -> None:
    try:
        json.dumps(asdict(experiment), allow_nan=False)
    except ValueError:
        raise ValueError(
            "every setting must be a finite number, but one is infinite or not a number (for no clipping, set "
            "training.max_grad_norm to 0)"
        ) from None


def load_run(
    path: Path | str, data: str | Dataset | None = None, device: str = "auto", model: type[Model] | str | None = None
) -> Run:
    """A finished run from its folder, at its best parameters.

    Args:
        path: the run folder.
        data: where the data are now, if not where the run found them, or the data themselves.
        device: ``auto``, ``cpu`` or ``cuda``.
        model: the class of a run that was made with one of your own, or its place; code is run only where it is named.

    Raises:
        FileNotFoundError: there is no run, or its data are gone.
        ValueError: the folder is damaged, the data or the model's class have changed since, or that is not named.
    """
    path = Path(path)
    result = run_dir.read_result(path)
    recorded = run_dir.read_experiment(path)
    experiment = config.changed(recorded, {"device": device})
    experiment = replace(experiment, model=of_run(experiment.model, "model", model))
    dataset = data if isinstance(data, Dataset) else load(data or experiment.data)
    run_dir.check_data(path, dataset)
    saved = checkpoint.load(path / CHECKPOINT)
    run_dir.identity(recorded, dataset).check(saved.metadata.get("run"), path / CHECKPOINT)
    made = build_model(experiment.model, dataset, experiment.seed)
    if isinstance(made, Model):
        load_parameters(made, saved, best=True)
        made.to(choose_device(experiment)).eval()
    return Run(dataset, made, experiment.evaluation.ks, experiment.evaluation.mask, result)


def load(data: str) -> Dataset:
    """The data set that an experiment names: ``shop`` is the built-in one, anything else a path.

    Raises:
        FileNotFoundError: there is no such path.
        ValueError: it cannot be read, or no path is known.
    """
    if not data:
        raise ValueError("the run was made from data in memory; give them: load_run(folder, dataset), or --data PATH")
    return replace(generate(ShopSettings()).dataset, source="shop") if data == "shop" else load_data(data)


def load_to_train(data: str) -> Dataset:
    """The same, for a command that trains on it: it says once what a user should know of the data.

    Raises:
        FileNotFoundError: there is no such path.
        ValueError: it cannot be read, or no path is known.
    """
    dataset = load(data)
    announce(dataset)
    return dataset


def announce(dataset: Dataset) -> None:
    """Log what reading left out or changed, and what else a user should know of the data before training on them."""
    for sentence in dataset.warnings:
        logger.warning("%s: %s", dataset.name, sentence)


def choose_device(experiment: Experiment) -> torch.device:
    """The device that an experiment asks for.

    Raises:
        ValueError: CUDA is asked for and not there.
    """
    there = torch.cuda.is_available()
    if experiment.device == "cuda" and not there:
        raise ValueError("device is cuda, but this torch sees no CUDA device; use --device auto or cpu")
    return torch.device("cuda" if there and experiment.device != "cpu" else "cpu")


class _Session:
    """One experiment: checked and made ready by the constructor, which touches no file, then carried out."""

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        model: Model | Baseline,
        strategy: Strategy,
        *,
        out: Path | None = None,
        callbacks: Sequence[Callback] = (),
        announce: bool = True,
    ) -> None:
        self.experiment, self.dataset, self.out = experiment, dataset, out
        self.identity = run_dir.identity(experiment, dataset)
        self.device = choose_device(experiment) if isinstance(model, Model) else torch.device("cpu")
        self.monitor = selection.monitored(experiment, dataset).metric
        self.unscored = Run(dataset, model, experiment.evaluation.ks, experiment.evaluation.mask)
        curves = [TensorBoard(out / run_dir.TENSORBOARD)] if out is not None and experiment.training.tensorboard else []
        self.trainer = self._trainer(model, strategy, [*callbacks, *curves]) if isinstance(model, Model) else None
        self.remarks = selection.remarks(experiment, dataset) if announce and self.trainer is not None else ()

    def run(self, *, resume: bool) -> Run:
        if self.trainer is not None and resume:
            self.trainer.resume()
        if self.out is not None:  # an earlier result would not be that of the run that goes on
            (self.out / run_dir.RESULT).unlink(missing_ok=True)
        selection.warn(self.remarks)
        trained = self.trainer.run() if self.trainer is not None else FitResult(0, 0)
        result = self._result(trained)
        if self.out is not None:
            if self.trainer is None:
                metadata = {"run": self.identity.as_dict(), "progress": {"epoch": 0, "best_epoch": 0}}
                checkpoint.save(self.out / CHECKPOINT, checkpoint.Checkpoint({}, metadata))
            run_dir.finish(self.out, result, self.identity)
        return replace(self.unscored, result=result)

    def _trainer(self, model: Model, strategy: Strategy, callbacks: Sequence[Callback]) -> Trainer:
        settings = replace(self.experiment.training, monitor=self.monitor)
        selection.check(self.experiment, self.dataset)
        reset_peak_gpu_memory(self.device)
        model.to(self.device)
        chosen = self.experiment.optimizer
        optimizer = optimizers.make(chosen.name, model.parameters(), chosen.options)
        context = TrainStepContext(
            model,
            optimizer,
            objective=_attacked(model, settings.amr),
            max_grad_norm=settings.max_grad_norm or None,
            same_dropout_mask=settings.same_dropout_mask,
            perturb_exclude=settings.perturb_exclude,
            grad_accumulation_steps=settings.grad_accumulation_steps,
            precision=settings.precision,
        )
        return Trainer(
            context,
            strategy,
            Sampler(self.dataset.interactions, settings.batch_size, self.device),
            self._validate if self.dataset.interactions.count("valid") else None,
            settings=settings,
            seed=self.experiment.seed,
            folder=self.out,
            identity=self.identity,
            callbacks=callbacks,
        )

    def _validate(self, _: Model) -> Mapping[str, float]:
        """All that the trainer gets to see of the evaluator."""
        return self.unscored.evaluate("valid").metrics

    def _data(self) -> dict[str, Any]:
        """Which data it was, and what a reader of the scores should know of them."""
        pairs = self.dataset.interactions
        return {
            "name": self.dataset.name,
            "path": self.experiment.data,
            "fingerprint": self.dataset.fingerprint,
            "users_without_training": {part: len(pairs.untrained(part)) for part in SPLITS[1:]},
            "warnings": list(self.dataset.warnings),
        }

    def _result(self, trained: FitResult) -> dict[str, Any]:
        run, interactions = self.unscored, self.dataset.interactions
        scores = {part: run.evaluate(part).metrics if interactions.count(part) else {} for part in ("valid", "test")}
        model, records = run.recommender, trained.records
        trainable = [one for one in model.parameters() if one.requires_grad] if isinstance(model, Model) else []
        return {
            "model": self.experiment.model.name,
            "strategy": self.experiment.strategy.name if records else "none",
            "data": self._data(),
            "seed": self.experiment.seed,
            "settings": asdict(self.experiment),
            "versions": versions(),
            "machine": asdict(machine(self.device, onednn=onednn_pays())),
            "parameters": sum(one.numel() for one in trainable),
            "epochs": trained.epochs,
            "best_epoch": trained.best_epoch,
            "selected": self.experiment.training.select if self.trainer is not None else None,
            "monitor": self.monitor if interactions.count("valid") else None,
            **scores,
            "skipped_steps": sum(record.skipped for record in records),
            "seconds": _seconds(records),
            "peak_memory_mb": peak_memory_mb(),
            "peak_gpu_memory_mb": peak_gpu_memory_mb(self.device),
            "diagnostics": {name: [record.diagnostics.get(name) for record in records] for name in _traced(records)},
        }


def _attacked(model: Model, amr: AMR) -> Model:
    """What the context differentiates: the model, or its loss with and without adversarial noise."""
    if amr.epsilon == 0:
        return model
    try:
        return Adversarial(model, epsilon=amr.epsilon, weight=amr.weight)
    except ValueError as error:
        raise ValueError(f"training.amr: {error}") from None


def _seconds(records: Sequence[EpochRecord]) -> dict[str, float]:
    evaluated = [record.evaluate_seconds for record in records if record.valid]
    return {
        "train_per_epoch": fmean(record.train_seconds for record in records) if records else 0.0,
        "evaluate": fmean(evaluated) if evaluated else 0.0,
    }


def _traced(records: Sequence[EpochRecord]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.diagnostics))
