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

from flatrec import config, folder
from flatrec.components import build_model, build_strategy, resolved
from flatrec.config import AMR, Component, Evaluation, Experiment, Option, Training
from flatrec.data.batches import Sampler
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import PARTS
from flatrec.data.loading import load_data
from flatrec.data.shop import ShopSettings, generate
from flatrec.evaluation.metrics import METRICS
from flatrec.files import write_text
from flatrec.models import Adversarial, Model, Yardstick
from flatrec.provenance import peak_memory_mb, versions
from flatrec.run import Run, representations
from flatrec.strategies import Strategy
from flatrec.strategies.learner import Learner
from flatrec.training import EpochRecord, Observer, TensorBoard, Trained, Trainer, checkpoint, optimizers
from flatrec.training.trainer import CHECKPOINT, load_parameters

logger = logging.getLogger(__name__)


def fit(
    dataset: Dataset,
    model: Model | str = "freedom",
    strategy: Strategy | str = "bsam+",
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
    observers: Sequence[Observer] = (),
) -> Run:
    """Train a recommender and score it once on the test part.

    Args:
        dataset: what to learn from.
        model: a name, or a model made from this data set (its initial parameters are then the caller's).
        strategy: a name, or a strategy.
        optimizer: a name; see ``flatrec list optimizers``.
        model_settings: for a model given by name.
        strategy_settings: for a strategy given by name.
        optimizer_settings: such as ``{"lr": 0.001}``.
        training: lengths and portions.
        evaluation: what is measured.
        seed: of everything random.
        device: ``auto``, ``cpu`` or ``cuda``.
        out: a folder for checkpoints, curves and the result; needs model and strategy by name, so that the run can
            be loaded again.
        resume: go on with the run in ``out``.
        overwrite: replace the run in ``out``.
        observers: who hears of progress.

    Raises:
        ValueError: a setting is unknown or out of range, or the data do not fit the model.
        FileExistsError: ``out`` holds a run, and neither ``resume`` nor ``overwrite`` is given.
        DivergedError: ten steps in a row had no finite gradient.
    """
    named = isinstance(model, str) and isinstance(strategy, str)
    if out is not None and not named:
        raise ValueError(
            "a run folder needs model and strategy by name, so that it can be loaded again; leave out "
            "`out`, or give names and settings"
        )
    for what, given, settings in (
        ("model", model, model_settings),
        ("strategy", strategy, strategy_settings),
    ):
        if settings and not isinstance(given, str):
            raise ValueError(f"{what}_settings are for a {what} given by name; put them into the {what} itself")
    experiment = Experiment(
        data=dataset.source or "",
        model=Component(model if isinstance(model, str) else type(model).__name__, dict(model_settings or {})),
        strategy=Component(strategy if isinstance(strategy, str) else _name(strategy), dict(strategy_settings or {})),
        optimizer=Component(optimizer, dict(optimizer_settings or {})),
        training=training or Training(),
        evaluation=evaluation or Evaluation(),
        seed=seed,
    )
    experiment = config.changed(experiment, {"device": device})
    announce(dataset)
    if named:
        return run_experiment(
            experiment, dataset, Path(out) if out else None, resume=resume, overwrite=overwrite, observers=observers
        )
    made = build_model(experiment.model, dataset, seed) if isinstance(model, str) else _fitting(model, dataset)
    step = build_strategy(experiment.strategy) if isinstance(strategy, str) else strategy
    return _Session(experiment, dataset, made, step, observers=observers).run(resume=False)


def _fitting(model: Model, dataset: Dataset) -> Model:
    sizes = tuple(len(one) for one in representations(model))
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
    observers: Sequence[Observer] = (),
) -> Run:
    """Carry out an experiment; the same as :func:`fit` from settings alone.

    Args:
        experiment: the settings; what is left out takes its default.
        dataset: the data, where they are in memory already.
        out: the run folder; None to keep all in memory.
        resume: go on with the run in ``out``.
        overwrite: replace the run in ``out``.
        observers: who hears of progress.

    Raises:
        ValueError: a setting is unknown or out of range, or the data do not fit the model.
        FileNotFoundError: there is no such data.
        FileExistsError: ``out`` holds a run, and neither ``resume`` nor ``overwrite`` is given.
        DivergedError: ten steps in a row had no finite gradient.
    """
    experiment = resolved(experiment)
    if resume and (overwrite or out is None):
        raise ValueError("resume needs a run folder, and does not go together with overwrite; give one of the two")
    _check_finite(experiment)
    data = dataset if dataset is not None else load_to_train(experiment.data)
    experiment = replace(experiment, data=data.source or experiment.data)
    strategy = build_strategy(experiment.strategy)
    model = build_model(experiment.model, data, experiment.seed)
    session = _Session(experiment, data, model, strategy, out=out, observers=observers)
    if out is None:
        return session.run(resume=False)
    # Last of all, so that what cannot be trained leaves no folder behind.
    with folder.claimed(out, experiment, data, resume=resume, overwrite=overwrite):
        return session.run(resume=resume)


def _check_finite(experiment: Experiment) -> None:
    try:
        json.dumps(asdict(experiment), allow_nan=False)
    except ValueError:
        raise ValueError(
            "every setting must be a finite number, but one is infinite or not a number (for no clipping, set "
            "training.clip to 0)"
        ) from None


def load_run(path: Path | str, data: str | Dataset | None = None, device: str = "auto") -> Run:
    """A finished run from its folder, at its best parameters.

    Args:
        path: the run folder.
        data: where the data are now, if not where the run found them, or the data themselves.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        FileNotFoundError: there is no run, or its data are gone.
        ValueError: the folder is damaged, or the data have changed since.
    """
    path = Path(path)
    result = folder.read_result(path)
    experiment = config.changed(config.read(path / folder.EXPERIMENT), {"device": device})
    dataset = data if isinstance(data, Dataset) else load(data or experiment.data)
    folder.check_data(path, dataset)
    model = build_model(experiment.model, dataset, experiment.seed)
    if isinstance(model, Model):
        load_parameters(model, checkpoint.load(path / CHECKPOINT), best=True)
        model.to(choose_device(experiment)).eval()
    return Run(dataset, model, experiment.evaluation.cuts, experiment.evaluation.mask, result)


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
        model: Model | Yardstick,
        strategy: Strategy,
        *,
        out: Path | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.experiment, self.dataset, self.out = experiment, dataset, out
        self.unscored = Run(dataset, model, experiment.evaluation.cuts, experiment.evaluation.mask)
        curves = [TensorBoard(out / "tensorboard")] if out is not None and experiment.training.tensorboard else []
        self.trainer = self._trainer(model, strategy, [*observers, *curves]) if isinstance(model, Model) else None

    def run(self, *, resume: bool) -> Run:
        if self.trainer is not None and resume:
            self.trainer.resume()
        if self.out is not None:  # an earlier result would not be that of the run that goes on
            (self.out / folder.RESULT).unlink(missing_ok=True)
        trained = self.trainer.run() if self.trainer is not None else Trained(0, 0)
        result = self._result(trained)
        if self.out is not None:
            if self.trainer is None:
                facts = {"progress": {"epoch": 0, "best_epoch": 0}}
                checkpoint.save(self.out / CHECKPOINT, checkpoint.Checkpoint({}, facts))
            write_text(self.out / folder.RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")
        return replace(self.unscored, result=result)

    def _trainer(self, model: Model, strategy: Strategy, observers: Sequence[Observer]) -> Trainer:
        settings, device = self.experiment.training, choose_device(self.experiment)
        self._check()
        model.to(device)
        chosen = self.experiment.optimizer
        optimizer = optimizers.make(chosen.name, model.parameters(), chosen.options)
        learner = Learner(
            model,
            optimizer,
            objective=_attacked(model, settings.amr),
            clip=settings.clip or None,
            same_noise=settings.same_noise,
            unperturbed=settings.unperturbed,
            micro_batches=settings.micro_batches,
            precision=settings.precision,
        )
        return Trainer(
            learner,
            strategy,
            Sampler(self.dataset.interactions, settings.batch_size, device),
            lambda _: self.unscored.evaluate("valid").metrics,  # all that the trainer gets to see of the evaluator
            settings=settings,
            seed=self.experiment.seed,
            folder=self.out,
            observers=observers,
        )

    def _check(self) -> None:
        if not self.dataset.interactions.count("valid"):
            raise ValueError(
                f"the validation part of {self.dataset.name!r} has no pair, but training stops by it; split anew"
            )
        metrics = [f"{name}@{cut}" for cut in self.experiment.evaluation.cuts for name in METRICS]
        if self.experiment.training.monitor not in metrics:
            raise ValueError(
                f"training.monitor must be one of {', '.join(metrics)}, but is {self.experiment.training.monitor!r}; "
                "add its cut to evaluation.cuts or choose another"
            )

    def _data(self) -> dict[str, Any]:
        """Which data it was, and what a reader of the scores should know of them."""
        pairs = self.dataset.interactions
        return {
            "name": self.dataset.name,
            "path": self.experiment.data,
            "fingerprint": self.dataset.fingerprint,
            "users_without_training": {part: len(pairs.untrained(part)) for part in PARTS[1:]},
            "warnings": list(self.dataset.warnings),
        }

    def _result(self, trained: Trained) -> dict[str, Any]:
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
            "parameters": sum(one.numel() for one in trainable),
            "epochs": trained.epochs,
            "best_epoch": trained.best_epoch,
            **scores,
            "skipped_steps": sum(record.skipped for record in records),
            "seconds": _seconds(records),
            "peak_memory_mb": peak_memory_mb(),
            "trace": {name: [record.trace.get(name) for record in records] for name in _traced(records)},
        }


def _attacked(model: Model, amr: AMR) -> Model:
    """What the learner differentiates: the model, or its loss with and without adversarial noise."""
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
    return list(dict.fromkeys(name for record in records for name in record.trace))


def _name(strategy: Strategy) -> str:
    return type(strategy).__name__.lower()
