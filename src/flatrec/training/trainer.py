"""The epoch loop: strategies take steps, validation decides when to stop, checkpoints allow to resume."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from flatrec.config import Training
from flatrec.models.base import Model
from flatrec.models.extra_loss import ExtraLoss
from flatrec.ops.columns import sharing
from flatrec.ops.process_group import ProcessGroup, everywhere, together
from flatrec.parallel.shards import ColumnShards
from flatrec.sampling.sampler import Sampler
from flatrec.strategies.base import Strategy
from flatrec.strategies.context import NonFiniteGradientError
from flatrec.training import checkpoint as checkpoints
from flatrec.training.averaging import make_average
from flatrec.training.checkpoint import Checkpoint
from flatrec.training.checkpoint_writer import CheckpointWriter
from flatrec.training.embedding_context import EmbeddingStepContext
from flatrec.training.identity import Identity
from flatrec.training.progress import Progress, judged, progress_of, score_of, without_early_best
from flatrec.training.records import Callback, EpochRecord, append_line, read_lines, write_lines
from flatrec.training.schedules import LearningRate
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import devices, provenance, seeding

MAX_CONSECUTIVE_NONFINITE = 10
CHECKPOINT, RECORDS = "checkpoint.safetensors", "epochs.jsonl"

logger = logging.getLogger(__name__)


class DivergedError(RuntimeError):
    """Training failed: no step of an epoch or none of ten in a row had a finite gradient, or a weight is not finite."""


@dataclass(frozen=True)
class FitResult:
    """The result of training; the model holds the parameters of the best epoch, or of the last if that is selected.

    With ``training.average`` these are the averaged ones.
    """

    epochs: int
    best_epoch: int
    records: Sequence[EpochRecord] = field(default_factory=tuple)


class Trainer:
    """Trains a model with a strategy.

    Everything random in an epoch derives from (seed, epoch), so a run that goes on from a checkpoint computes the
    very bits of one that was never stopped.

    Args:
        context: model and base optimizer.
        strategy: what a step does.
        sampler: gives the batches.
        validate: scores the model on the validation split; the trainer never sees another split. None if there is no
            validation split, which needs ``settings.select`` to be ``last``.
        settings: the settings of training.
        seed: of everything random.
        folder: where checkpoint and ``epochs.jsonl`` are written; None to keep all in memory.
        identity: the run that these files belong to; files of another run are refused.
        callbacks: objects that are informed of the progress.
        higher_is_better: the direction of the monitored metric.
        learning_rate: sets the learning rate of every step; None to leave it to the optimizer.
        group: this process among several that train together; None if it trains alone. The first one writes the files.
        shards: the columns of the model that this process holds, of several; None if it holds all.

    Raises:
        ValueError: the best epoch is to be kept or ASWA to average, but there is no validation.
    """

    def __init__(
        self,
        context: TrainStepContext | EmbeddingStepContext,
        strategy: Strategy,
        sampler: Sampler,
        validate: Callable[[Model], Mapping[str, float]] | None,
        *,
        settings: Training,
        seed: int,
        folder: Path | None = None,
        identity: Identity = Identity(),  # noqa: B008
        callbacks: Sequence[Callback] = (),
        higher_is_better: bool = True,
        learning_rate: LearningRate | None = None,
        group: ProcessGroup | None = None,
        shards: ColumnShards | None = None,
    ) -> None:
        if validate is None and settings.select == "best":
            raise ValueError("the best epoch is chosen by validation, but there is none; set training.select to last")
        if settings.average == "aswa" and validate is None:
            raise ValueError(
                "training.average is aswa, which needs validation, but there is none; set it to swa or ema"
            )
        self.context, self.strategy, self.sampler, self.validate = context, strategy, sampler, validate
        self.model = context.model
        self.settings = settings
        self.seed = seed
        self.folder = folder
        self.identity = identity
        self.callbacks = callbacks
        self.higher_is_better = higher_is_better
        self.learning_rate = learning_rate
        self.group, self.shards = group, shards
        self.writes = folder is not None and (group is None or group.is_first)
        self.steps = sampler.steps(strategy.batches_per_step, settings.second_batch)
        self.writer = CheckpointWriter(context.params[0].device)
        self.progress = Progress()
        self.records: list[EpochRecord] = []
        self.average = make_average(
            self.model,
            settings,
            lambda one, other: score_of(one, settings).is_better(
                score_of(other, settings), higher_is_better=self.higher_is_better
            ),
        )
        self._best: dict[str, Tensor] = {}

    def run(self) -> FitResult:
        """Train to the end; afterward the model holds its best parameters and is in evaluation mode.

        Raises:
            DivergedError: ten steps in a row, or all of an epoch, had no finite gradient; the last checkpoint is kept.
            OSError: a checkpoint cannot be written; the one before is kept.
            KeyError: the monitored metric is not among the validation metrics.
        """
        device, settings = self.context.params[0].device, self.settings
        if self.progress.epoch == 0:
            self.strategy.reset(self.seed)  # the object may have trained before
            self._write_checkpoint({}, {})
            self.writer.wait()  # from now on, a missing checkpoint is an error
        by_columns = None if self.shards is None else self.group
        exactly = devices.numerics(device, tf32=settings.precision == "tf32", deterministic=settings.deterministic)
        with (
            self.writer,
            devices.forked_generators(device),
            exactly,
            together(self.group),
            sharing(by_columns),
        ):
            for callback in self.callbacks:
                callback.on_start(self.progress.epoch + 1, self.settings.epochs, self.steps)
            try:
                while not self._is_over:
                    self._epoch(self.progress.epoch + 1)
            finally:
                for callback in self.callbacks:
                    callback.on_end()
        self.model.load_state_dict(self._best)
        if self.shards is not None:
            self.shards.join()
        self.model.eval()
        return FitResult(self.progress.epoch, self.progress.best_epoch, tuple(self.records))

    def _epoch(self, epoch: int) -> None:
        started = time.perf_counter()
        before = self.progress.epoch
        losses, skipped = self._train(epoch)
        self._check_weights(epoch)
        if self.average is not None:
            self.average.on_epoch_end(epoch)
        trained = time.perf_counter()
        due = epoch % self.settings.evaluate_every == 0 or epoch == self.settings.epochs
        raw, valid = self._evaluate(epoch) if due else ({}, {})
        self.progress = self._judged(epoch, valid)
        record = EpochRecord(
            epoch=epoch,
            loss=float(torch.stack(losses).double().mean()) if losses else None,
            train_seconds=trained - started,
            evaluate_seconds=time.perf_counter() - trained,
            skipped=skipped,
            valid=valid,
            raw_valid=raw,
            monitor=self.settings.monitor if valid else "",
            best=self.progress.best_epoch == epoch,
            diagnostics=self.strategy.take_diagnostics(),
        )
        self.records.append(record)
        if record.best:
            self._best = self._kept()
        self._save(record, before)
        for callback in self.callbacks:
            callback.on_epoch(record)

    def _kept(self) -> dict[str, Tensor]:
        """A copy of the parameters, averaged if they are to be, and of the buffers."""
        with self.average.applied() if self.average is not None else nullcontext():
            return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _train(self, epoch: int) -> tuple[list[Tensor], int]:
        self.model.train()
        devices.seed(self.context.params[0].device, seeding.derive_seed(self.seed, "noise", epoch))
        self.model.on_epoch_start(seeding.generator(self.seed, "model", epoch))
        if isinstance(self.context.objective, ExtraLoss):
            self.context.objective.begin_epoch([record.loss for record in self.records])
        stream = seeding.generator(self.seed, "batches", epoch)
        if self.average is not None:
            self.average.on_epoch_start(epoch)
        losses: list[Tensor] = []
        skipped = 0
        steps = self.sampler.epoch(stream, self.strategy.batches_per_step, self.settings.second_batch)
        for step, batches in enumerate(steps, start=1):
            if self.learning_rate is not None:
                self.learning_rate.set(epoch, step, self.steps)
            self.context.progress = epoch - 1 + (step - 1) / self.steps
            try:
                losses.append(self.strategy.step(self.context, *batches))
                self.progress = replace(self.progress, consecutive_nonfinite=0)
                if self.average is not None:
                    self.average.on_update()
            except NonFiniteGradientError:
                skipped += 1
                self._skip_step(epoch)
            self.model.on_step_end()
            for callback in self.callbacks:
                callback.on_step(epoch, step)
        if not losses and (self.steps > 1 or self._never_stepped(epoch)):
            self._diverged(epoch, f"no step had a finite loss or gradient ({skipped} skipped)")
        return losses, skipped

    def _never_stepped(self, epoch: int) -> bool:
        return epoch == self.settings.epochs and all(record.loss is None for record in self.records)

    def _skip_step(self, epoch: int) -> None:
        self.progress = replace(self.progress, consecutive_nonfinite=self.progress.consecutive_nonfinite + 1)
        logger.warning("epoch %d: a step was skipped, its loss or gradient was not finite", epoch)
        if self.progress.consecutive_nonfinite >= MAX_CONSECUTIVE_NONFINITE:
            self._diverged(
                epoch, f"{MAX_CONSECUTIVE_NONFINITE} steps in a row had a loss or gradient that was not finite"
            )

    def _check_weights(self, epoch: int) -> None:
        if not everywhere(all(checkpoints.all_finite(parameter) for parameter in self.context.params)):
            self._diverged(epoch, "a weight is not finite any more")

    def _diverged(self, epoch: int, reason: str) -> NoReturn:
        checkpoint = "; the last checkpoint is kept" if self.folder and epoch > 1 else ""
        raise DivergedError(
            f"epoch {epoch}: {reason}{checkpoint}; lower optimizer.lr, strategy.rho or any other very large setting, "
            "or set training.max_grad_norm"
        )

    def _evaluate(self, epoch: int) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """The metrics of the parameters as they are, where others are monitored, and those that are monitored."""
        self.model.eval()
        metrics = self._validated()
        if self.average is None:
            return {}, metrics
        last = next((record.valid for record in reversed(self.records) if record.valid), {})
        return metrics, self.average.evaluated(epoch, self._validated, last)

    def _validated(self) -> Mapping[str, float]:
        """The metrics; those of the first process, where there are several, so that all decide alike."""
        metrics = self.validate(self.model) if self.validate is not None else {}
        if self.group is None or not metrics:
            return metrics
        return dict(zip(metrics, self.group.of_first(list(metrics.values())), strict=True))

    def _judged(self, epoch: int, valid: Mapping[str, float]) -> Progress:
        if self.settings.select == "last":
            return replace(self.progress, epoch=epoch, best_epoch=epoch)
        if not valid:
            return replace(self.progress, epoch=epoch)
        evaluations = [*(record.valid for record in self.records if record.valid), valid]
        higher = self.higher_is_better
        return judged(self.progress, epoch, evaluations, self.settings, higher_is_better=higher)

    def _save(self, record: EpochRecord, before: int) -> None:
        """Write the files that are due; the checkpoint holds the best parameters too, so that the two cannot disagree.

        The line of an epoch is written before its checkpoint: whenever the process is killed, the lines up to the epoch
        of the checkpoint are there. A GPU goes on training while its checkpoint is written.
        """
        if self.folder is None or (self.shards is None and not self.writes):
            return
        if self.writes:
            append_line(self.folder / RECORDS, record, self.identity.digest)
        due = record.epoch % self.settings.checkpoint_every == 0 or record.epoch == self.settings.epochs
        if due or self.progress.stopped or before == 0:
            optimizer, metadata = checkpoints.optimizer_state(self.context.optimizer)
            tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
            tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer.items()}
            tensors |= {f"strategy.{name}": tensor for name, tensor in self.strategy.state().items()}
            if self.average is not None:
                tensors |= {f"average.{name}": tensor for name, tensor in self.average.state().items()}
            if not record.best or self.average is not None:
                tensors |= {f"best.{name}": tensor for name, tensor in self._best.items()}
            self._write_checkpoint(tensors if self.shards is None else self.shards.whole(tensors), metadata)

    def _write_checkpoint(self, tensors: Mapping[str, Tensor], optimizer: Mapping[str, object]) -> None:
        if self.folder is not None and self.writes:
            metadata = {
                "run": self.identity.as_dict(),
                "device": self._device,
                "progress": vars(self.progress),
                "optimizer": optimizer,
                "portions": self._n_portions,
            }
            self.writer.write(self.folder / CHECKPOINT, Checkpoint(tensors, metadata))

    def resume(self) -> None:
        """Load the checkpoint of the folder, if there is one, to go on from there; every process does.

        Raises:
            ValueError: the checkpoint or the records are damaged, missing, of another run, or of another kind of
                device.
        """
        if self.folder is not None:
            self._resume(self.folder)
        if self.group is not None:
            self.group.wait()  # until all have read what the first will write

    def _resume(self, folder: Path) -> None:
        path, lines = folder / CHECKPOINT, folder / RECORDS
        if not path.exists():
            if lines.exists() or path.with_suffix(".json").exists():
                raise ValueError(
                    f"{folder} holds a run that began, but its {CHECKPOINT} is gone; put it back, or train again "
                    "with --overwrite"
                )
            return
        saved = self._loaded(path)
        self.identity.check(saved.metadata.get("run"), path)
        progress = progress_of(saved, path)
        records = read_lines(lines, self.identity.digest)
        if len(records) < progress.epoch:
            raise ValueError(
                f"{lines} holds {len(records)} epochs, but {CHECKPOINT} beside it is of epoch {progress.epoch}; put "
                "back the file of this run, or train again with --overwrite"
            )
        self.records = records[: progress.epoch]
        self.progress = without_early_best(progress, self.records, self.settings)
        if self.progress.best_epoch != progress.best_epoch:
            self.records = [replace(record, best=False) for record in self.records]
        if progress.epoch > 0:
            self._check_device(str(saved.metadata.get("device")))
            self._warn_of_portions(saved.metadata.get("portions", 1))
            try:
                self._load(saved)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
        if self.writes:  # a killed run may have written past its checkpoint
            write_lines(lines, self.records, self.identity.digest)

    def _loaded(self, path: Path) -> Checkpoint:
        """The checkpoint, on the device, with the columns of this process."""
        device = self.context.params[0].device
        if self.shards is None:
            return checkpoints.load(path, device)
        saved = checkpoints.load(path)
        own = self.shards.own(saved.tensors)
        return Checkpoint({name: tensor.to(device) for name, tensor in own.items()}, saved.metadata)

    def _load(self, saved: Checkpoint) -> None:
        best = best_parameters(saved)
        checkpoints.check_alike(best, self.model.state_dict(), "the best epoch")
        checkpoints.check_finite(best, "the best epoch")
        metadata = saved.metadata.get("optimizer")
        if not isinstance(metadata, Mapping):
            raise ValueError(f"it holds no metadata of its optimizer; {checkpoints.ADVICE}")
        checkpoints.restore_optimizer(self.context.optimizer, saved.section("optimizer"), metadata)
        load_parameters(self.model, saved)
        self.strategy.reset(self.seed)
        self.strategy.load_state(saved.section("strategy"), self.context.params)
        if self.average is not None:
            self.average.load_state(saved.section("average"))
        self._best = best if self.progress.best_epoch > 0 else {}

    @property
    def _is_over(self) -> bool:
        return self.progress.stopped or self.progress.epoch >= self.settings.epochs

    @property
    def _n_portions(self) -> int:
        """How many processes divide a batch among them."""
        return 1 if self.group is None or self.shards is not None else self.group.size

    def _warn_of_portions(self, before: object) -> None:
        if not self._is_over and before != self._n_portions:
            logger.warning(
                "%s goes on with another number of processes that divide each batch (%s, before %s); a loss that looks "
                "at all interactions of a batch together is another one then",
                self.folder,
                self._n_portions,
                before,
            )

    @property
    def _device(self) -> str:
        return provenance.device_name(self.context.params[0].device)

    def _check_device(self, before: str) -> None:
        """Raise an error if training would go on on another kind of device, where its bits would differ."""
        if not self._is_over and before.partition(":")[0] != self._device.partition(":")[0]:
            raise ValueError(
                f"{self.folder} was trained on {before} so far, and cannot go on on {self._device} bit for bit; resume "
                "it on such a device, or train it again (--overwrite)"
            )


def best_parameters(saved: Checkpoint) -> dict[str, Tensor]:
    """Return the parameters of the best epoch."""
    return saved.section("best") or saved.section("model")


def load_parameters(model: Model, saved: Checkpoint, *, best: bool = False) -> None:
    """Load the parameters of a checkpoint into a model: those of the last epoch, or of the best.

    Raises:
        ValueError: they do not fit the model, or one is not finite.
    """
    parameters = best_parameters(saved) if best else saved.section("model")
    checkpoints.check_alike(parameters, model.state_dict(), "the checkpoint")
    checkpoints.check_finite(parameters, "the checkpoint")
    model.load_state_dict(parameters)
