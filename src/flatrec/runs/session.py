"""One experiment, checked and made ready, then carried out: data, model, strategy, trainer and evaluator together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch.optim import Optimizer

from flatrec import config
from flatrec.config import MDVT, Config, Experiment, Training
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import SPLITS, Split
from flatrec.data.row_counts import row_counts
from flatrec.evaluation import EvaluationResult
from flatrec.evaluation.metrics import higher_is_better
from flatrec.inference.run import Run
from flatrec.inference.storage import FOLDER as RECOMMENDER
from flatrec.inference.storage import remove_recommender, save_recommender
from flatrec.loggers.base import RunInfo
from flatrec.loggers.run_loggers import LOGS, TENSORBOARD, RunLoggers, make_loggers
from flatrec.models import Adversarial, Baseline, Model, VirtualTriplets
from flatrec.models.virtual_triplets import WarmUp
from flatrec.ops.matmul import onednn_pays
from flatrec.ops.process_group import ProcessGroup
from flatrec.parallel.portions import Portions
from flatrec.parallel.shards import ColumnShards
from flatrec.runs import objective, run_dir, selection, weights
from flatrec.runs.origin import Origin, read_origin
from flatrec.runs.warm_start import WarmStart, load_values
from flatrec.strategies import Strategy
from flatrec.training import Callback, EpochRecord, FitResult, Trainer, checkpoint, optimizers
from flatrec.training.embedding_context import perturbing
from flatrec.training.schedules import CONSTANT, LearningRate
from flatrec.training.step_context import TrainStepContext
from flatrec.training.trainer import CHECKPOINT, RECORDS
from flatrec.utils import devices, user_classes
from flatrec.utils.provenance import machine, peak_gpu_memory_mb, peak_memory_mb, reset_peak_gpu_memory, versions

logger = logging.getLogger(__name__)


class Session:
    """One experiment: checked and made ready by the constructor, which touches no file, then carried out.

    Args:
        experiment: its settings, with all defaults stated.
        dataset: the data.
        model: the model that is trained, with the loss of the experiment; or a baseline.
        strategy: the strategy that trains it.
        out: the run folder; None to keep all in memory.
        callbacks: objects that are told of the progress.
        log_warnings: whether to log what :func:`flatrec.runs.selection.choice_warnings` finds.
        origin: the run that is repeated, if this is a final fit; of a final fit that is resumed, its folder knows.
        start: what the model took over from an earlier run.
        save_recommender: whether the run folder gets a recommender, where ``training.save_recommender`` is ``auto``.
        group: this process among several that train together; None if it trains alone. If they share columns, the
            model is whole until then and is whole again after training. The first process writes.

    Raises:
        ValueError: the settings do not fit the data, or the optimizer refuses a value.
    """

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        model: Model | Baseline,
        strategy: Strategy,
        *,
        out: Path | None = None,
        callbacks: Sequence[Callback] = (),
        log_warnings: bool = True,
        origin: Origin | None = None,
        start: WarmStart | None = None,
        save_recommender: bool = True,
        group: ProcessGroup | None = None,
    ) -> None:
        self.group, self.writes = group, out is not None and (group is None or group.is_first)
        self.experiment, self.dataset, self.out = experiment, dataset, out
        self.start = start
        self.identity = run_dir.identity(experiment, dataset, start)
        self.device = choose_device(experiment) if isinstance(model, Model) else torch.device("cpu")
        self.device = self.device if group is None else group.device
        self.monitor = selection.monitored(experiment, dataset).metric
        selection.check_metrics(experiment, dataset)
        self.unscored = Run.of(dataset, model, experiment.evaluation)
        self.scored = self.unscored.scored
        self.loggers = RunLoggers(make_loggers(experiment.training.loggers) if self.writes else {}, self._description)
        self.trainer = self._trainer(model, strategy, [self.loggers, *callbacks]) if isinstance(model, Model) else None
        if self.trainer is not None:
            self.warnings = selection.choice_warnings(experiment, dataset)
        else:
            self.warnings = tuple(filter(None, [selection.mask_warning(experiment.evaluation, dataset)]))
        self.log_warnings = log_warnings
        self.origin = origin
        wanted = experiment.training.save_recommender
        self.save_recommender = wanted == "always" or (wanted == "auto" and save_recommender)

    def run(self, *, resume: bool) -> Run:
        """Train, score, and write the result where there is a run folder."""
        if self.trainer is not None and resume:
            self.trainer.resume()
            if self.start is not None and self.out is not None and self.trainer.progress.epoch == 0:
                self._begin_with_values(self.out, self.start, self.trainer)
        if self.out is not None:
            if self.writes:  # an earlier result would not be that of the run that goes on
                (self.out / run_dir.RESULT).unlink(missing_ok=True)
                remove_recommender(self.out)
            self.origin = read_origin(self.out)
        if self.origin is not None and (warning := self.origin.warning(self.dataset.name)):
            self.warnings = (*self.warnings, warning)
        if self.log_warnings:
            self._warn_of_no_folder()
            selection.log_warnings([*self.warnings, *([self.start.sentence()] if self.start is not None else [])])
        with self.loggers.running(self.trainer.records if self.trainer is not None else ()):
            trained = self.trainer.run() if self.trainer is not None else FitResult(0, 0)
            run = replace(self.unscored, result=self._result(trained), records=trained.records)
            if self.out is not None and self.writes:
                self._write(run, self.out)
                self.loggers.finish(_final_metrics(run.result), self._artifacts(self.out))
        return run

    def _write(self, run: Run, folder: Path) -> None:
        if self.trainer is None:
            metadata = {"run": self.identity.as_dict(), "progress": {"epoch": 0, "best_epoch": 0}}
            checkpoint.save(folder / CHECKPOINT, checkpoint.Checkpoint({}, metadata))
        if self.save_recommender:
            facts = replace(run.recommender.facts, run=self.identity.digest)
            save_recommender(replace(run.recommender, facts=facts), folder / RECOMMENDER)
        run_dir.finish(folder, run.result, self.identity)

    def _artifacts(self, folder: Path) -> list[Path]:
        """What loggers get of the files of the run."""
        names = [run_dir.EXPERIMENT, RECORDS, run_dir.RESULT]
        if self.experiment.training.log_recommender:
            names.append(RECOMMENDER)
        return [folder / name for name in names if (folder / name).exists()]

    def _description(self, name: str) -> RunInfo:
        """What a logger is told of the run."""
        assert self.out is not None
        folder = self.out.absolute()
        return RunInfo(
            folder=folder,
            own_folder=folder / TENSORBOARD if name == TENSORBOARD else folder / LOGS / name,
            name=folder.name,
            data=self.dataset.name,
            model=user_classes.short(self.experiment.model.name),
            strategy=user_classes.short(self.experiment.strategy.name),
            seed=self.experiment.seed,
            settings={key: value for key, value in config.settings(self.experiment).items() if value is not None},
        )

    def _warn_of_no_folder(self) -> None:
        named = [name for name in self.experiment.training.loggers if name != TENSORBOARD]
        if self.out is None and named:
            logger.warning("there is no run folder, so that %s logs nothing; give one (out)", ", ".join(named))

    def _begin_with_values(self, folder: Path, start: WarmStart, trainer: Trainer) -> None:
        if trainer.shards is None:
            load_values(folder, start, trainer.model)
            return
        trainer.shards.join()
        load_values(folder, start, trainer.model)
        trainer.shards.split()

    def _trainer(self, model: Model, strategy: Strategy, callbacks: Sequence[Callback]) -> Trainer:
        settings = self.experiment.training.replace(monitor=self.monitor)
        selection.check(self.experiment, self.dataset)
        weights.check(self.experiment, self.dataset)
        reset_peak_gpu_memory(self.device)
        group, by = self.group, settings.parallel
        shards = ColumnShards(model, group) if group is not None and by == "columns" else None
        model.to(self.device)
        chosen = self.experiment.optimizer
        assert isinstance(chosen.settings, Config)
        optimizer = optimizers.make(chosen.name, model.parameters(), chosen.settings)
        inner = TrainStepContext(
            model,
            optimizer,
            objective=_objective(model, settings),
            max_grad_norm=settings.max_grad_norm or None,
            max_row_grad_norm=settings.max_row_grad_norm or None,
            same_dropout_mask=settings.same_dropout_mask,
            perturb_exclude=settings.perturb_exclude,
            grad_accumulation_steps=settings.grad_accumulation_steps,
            precision=settings.precision,
            layer_precision=settings.layer_precision,
            weight_decay=objective.weight_decay(self.experiment),
            portions=Portions(group) if group is not None and by == "batches" else None,
        )
        return Trainer(
            perturbing(inner, settings.perturb_target),
            strategy,
            objective.make_sampler(self.experiment, self.dataset.interactions, self.device),
            self._validate if self.scored.count("valid") else None,
            settings=settings,
            seed=self.experiment.seed,
            folder=self.out,
            identity=self.identity,
            callbacks=callbacks,
            higher_is_better=settings.select == "last" or higher_is_better(self.monitor),
            learning_rate=self._learning_rate(optimizer),
            group=group,
            shards=shards,
        )

    def _learning_rate(self, optimizer: Optimizer) -> LearningRate | None:
        chosen, training = self.experiment.schedule, self.experiment.training
        if chosen.name == CONSTANT and training.lr_warmup == 0:
            return None
        assert isinstance(chosen.settings, Config)
        return LearningRate(optimizer, chosen.name, chosen.settings, warmup=training.lr_warmup, epochs=training.epochs)

    def _validate(self, _: Model) -> Mapping[str, float]:
        """All that the trainer gets to see of the evaluator."""
        metrics = self.unscored.evaluate("valid").metrics
        if self.experiment.training.select == "best" and self.monitor not in metrics:
            raise ValueError(
                f"{self.monitor} is not defined for any user of the validation split of {self.dataset.name!r}, so that "
                "it cannot choose the best epoch; set training.monitor to another metric"
            )
        return metrics

    def _data(self) -> dict[str, Any]:
        """Which data it was, and what a reader of the scores should know of them."""
        interactions = self.scored
        return {
            "name": self.dataset.name,
            "path": self.experiment.data,
            "fingerprint": self.dataset.fingerprint,
            "split": self.dataset.split_description.as_dict(),
            "users_without_training": {split: len(interactions.users_without_training(split)) for split in SPLITS[1:]},
            "rows": asdict(row_counts(self.dataset)),
            "interactions_with_unknown_items": {
                split: interactions.count_with_unknown_items(split) for split in SPLITS[1:]
            },
            "warnings": list(self.dataset.warnings),
        }

    def _result(self, trained: FitResult) -> dict[str, Any]:
        run, interactions = self.unscored, self.scored
        evaluated = {split: run.evaluate(split) if interactions.count(split) else None for split in SPLITS[1:]}
        model, records, deterministic = run.model, trained.records, self.experiment.training.deterministic
        trainable = [param for param in model.parameters() if param.requires_grad] if isinstance(model, Model) else []
        return {
            "model": self.experiment.model.name,
            "strategy": self.experiment.strategy.name if records else "none",
            "data": self._data(),
            "warnings": list(self.warnings),
            "refit": self.origin.as_dict() if self.origin is not None else None,
            "init_from": self.start.as_dict() if self.start is not None else None,
            "seed": self.experiment.seed,
            "settings": self.experiment.as_dict(),
            "versions": versions(),
            "machine": asdict(machine(self.device, onednn=onednn_pays(), deterministic=deterministic)),
            **({} if self.group is None else {"processes": self.group.size}),
            "parameters": sum(param.numel() for param in trainable),
            "epochs": trained.epochs,
            "best_epoch": trained.best_epoch,
            "selected": self.experiment.training.select if self.trainer is not None else None,
            "monitor": self.monitor if interactions.count("valid") else None,
            **{split: found.metrics if found else {} for split, found in evaluated.items()},
            "undefined": {split: found.n_undefined if found else {} for split, found in evaluated.items()},
            **({"candidates": candidates} if (candidates := _released(evaluated)) else {}),
            "skipped_steps": sum(record.skipped for record in records),
            "seconds": _seconds(records),
            "peak_memory_mb": peak_memory_mb(),
            "peak_gpu_memory_mb": peak_gpu_memory_mb(self.device),
            "diagnostics": {name: [record.diagnostics.get(name) for record in records] for name in _traced(records)},
        }


def _released(evaluated: Mapping[Split, EvaluationResult | None]) -> dict[str, str]:
    """Return which splits sampled metrics ranked among the items that were released with the data."""
    return {split: "released" for split, found in evaluated.items() if found and found.candidates == "released"}


def _final_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a result that loggers write, by name."""
    scores = {f"result/{split}/{name}": value for split in SPLITS[1:] for name, value in result[split].items()}
    counts = ("epochs", "best_epoch", "parameters")
    return {**scores, **{f"result/{name}": float(result[name]) for name in counts}}


def _objective(model: Model, settings: Training) -> Model:
    """What the gradients are taken of: the model, or extra losses around it, first that under adversarial noise."""
    objective, group = model, ""
    try:
        if settings.amr.epsilon > 0:
            group = "training.amr"
            objective = Adversarial(objective, epsilon=settings.amr.epsilon, weight=settings.amr.weight)
        if settings.mdvt.weight > 0:
            group = "training.mdvt"
            objective = VirtualTriplets(
                objective, weight=settings.mdvt.weight, k=settings.mdvt.k, warm_up=_warm_up(settings.mdvt)
            )
    except ValueError as error:  # the model reads no features, or has too few items
        raise ValueError(f"{group}: {error}") from None
    return objective


def _warm_up(mdvt: MDVT) -> WarmUp:
    return WarmUp(start_epoch=mdvt.start_epoch, threshold=mdvt.threshold if mdvt.warmup == "dynamic" else None)


def _seconds(records: Sequence[EpochRecord]) -> dict[str, float]:
    evaluated = [record.evaluate_seconds for record in records if record.valid]
    return {
        "train_per_epoch": fmean(record.train_seconds for record in records) if records else 0.0,
        "evaluate": fmean(evaluated) if evaluated else 0.0,
    }


def _traced(records: Sequence[EpochRecord]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.diagnostics))


def choose_device(experiment: Experiment) -> torch.device:
    """The device that an experiment asks for.

    Raises:
        ValueError: it is not there.
    """
    return devices.choose(experiment.device)
