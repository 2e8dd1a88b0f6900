"""The epoch loop: strategies step, validation decides when to stop, checkpoints let it go on."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from torch import Tensor

from flatrec.config import Training
from flatrec.data.batches import Sampler
from flatrec.models.base import Model
from flatrec.strategies.base import Strategy
from flatrec.strategies.context import NonFiniteGradientError
from flatrec.training import checkpoint as checkpoints
from flatrec.training.checkpoint import Checkpoint
from flatrec.training.identity import Identity
from flatrec.training.records import Callback, EpochRecord, append_line, read_lines, write_lines
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import provenance, seeding

PATIENCE_WITH_NON_FINITE = 10  # steps in a row
CHECKPOINT, RECORDS = "checkpoint.safetensors", "epochs.jsonl"

logger = logging.getLogger(__name__)


class DivergedError(RuntimeError):
    """Training came to nothing: no step had a finite gradient, ten in a row had none, or a weight is not finite."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class Progress:
    """Where training stands after an epoch; all that a checkpoint must hold besides tensors."""

    epoch: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    best_tie_breaker: float | None = None  # the best epoch's NDCG at the same K, where it was measured
    waited: int = 0  # evaluations since the best
    in_a_row: int = 0  # steps skipped in a row
    stopped: bool = False


@dataclass(frozen=True)
class FitResult:
    """What training came to; the model holds the parameters of the best epoch, or of the last if that is selected."""

    epochs: int
    best_epoch: int
    records: Sequence[EpochRecord] = field(default_factory=tuple)


class Trainer:
    """Trains a learner's model with a strategy.

    Everything random in an epoch derives from (seed, epoch), so a run that goes on from a checkpoint computes the
    very bits of one that was never stopped.

    Args:
        learner: model and base optimizer.
        strategy: what a step does.
        sampler: gives the batches.
        validate: scores the model on the validation part; the trainer never sees another part. None where there is no
            such part, which needs ``settings.select`` to be ``last``.
        settings: lengths and portions, and which epoch is kept.
        seed: of everything random.
        folder: where checkpoint and ``epochs.jsonl`` go; None to keep all in memory.
        identity: the run that these files are of; no file of another run is taken up.
        callbacks: objects that are told of the progress.

    Raises:
        ValueError: the best epoch is to be kept, but nothing validates.
    """

    def __init__(
        self,
        learner: TrainStepContext,
        strategy: Strategy,
        sampler: Sampler,
        validate: Callable[[Model], Mapping[str, float]] | None,
        *,
        settings: Training,
        seed: int,
        folder: Path | None = None,
        identity: Identity = Identity(),  # noqa: B008
        callbacks: Sequence[Callback] = (),
    ) -> None:
        if validate is None and settings.select == "best":
            raise ValueError("the best epoch is chosen by validation, but there is none; set training.select to last")
        self.learner, self.strategy, self.sampler, self.validate = learner, strategy, sampler, validate
        self.model = learner.model
        self.settings = settings
        self.seed = seed
        self.folder = folder
        self.identity = identity
        self.callbacks = callbacks
        self.steps = sampler.steps(strategy.batches_per_step, strategy.pairing)
        self.progress = Progress()
        self.records: list[EpochRecord] = []
        self._best: dict[str, Tensor] = {}

    def run(self) -> FitResult:
        """Train to the end; afterward the model holds its best parameters and is in evaluation mode.

        Raises:
            DivergedError: ten steps in a row, or all of an epoch, had no finite gradient; the last checkpoint is kept.
            KeyError: the monitored metric is not among the validation metrics.
        """
        if self.progress.epoch == 0:
            self.strategy.reset(self.seed)  # it may have trained before
            self._write_checkpoint({}, {})  # tells from now on that there was a checkpoint
        cuda = range(torch.cuda.device_count())
        with torch.random.fork_rng(cuda):
            for callback in self.callbacks:
                callback.on_start(self.progress.epoch + 1, self.settings.epochs, self.steps)
            try:
                while not self.progress.stopped and self.progress.epoch < self.settings.epochs:
                    self._epoch(self.progress.epoch + 1)
            finally:
                for callback in self.callbacks:
                    callback.on_end()
        self.model.load_state_dict(self._best)
        self.model.eval()
        return FitResult(self.progress.epoch, self.progress.best_epoch, tuple(self.records))

    def _epoch(self, epoch: int) -> None:
        started = time.perf_counter()
        before = self.progress.epoch
        losses, skipped = self._train(epoch)
        self._check_weights(epoch)
        trained = time.perf_counter()
        due = epoch % self.settings.evaluate_every == 0 or epoch == self.settings.epochs
        valid = self._evaluate() if due else {}
        self.progress = self._judged(epoch, valid)
        record = EpochRecord(
            epoch=epoch,
            loss=float(torch.stack(losses).double().mean()) if losses else None,
            train_seconds=trained - started,
            evaluate_seconds=time.perf_counter() - trained,
            skipped=skipped,
            valid=valid,
            monitor=self.settings.monitor if valid else "",
            best=self.progress.best_epoch == epoch,
            trace=self.strategy.take_diagnostics(),
        )
        self.records.append(record)
        if record.best:
            self._best = {name: one.detach().clone() for name, one in self.model.state_dict().items()}
        self._save(record, before)
        for callback in self.callbacks:
            callback.on_epoch(record)

    def _train(self, epoch: int) -> tuple[list[Tensor], int]:
        self.model.train()
        torch.manual_seed(seeding.derive_seed(self.seed, "noise", epoch))
        self.model.on_epoch_start(seeding.generator(self.seed, "model", epoch))
        stream = seeding.generator(self.seed, "batches", epoch)
        losses: list[Tensor] = []
        skipped = 0
        batches_of_steps = self.sampler.epoch(stream, self.strategy.batches_per_step, self.strategy.pairing)
        for step, batches in enumerate(batches_of_steps, start=1):
            self.learner.progress = epoch - 1 + (step - 1) / self.steps
            try:
                losses.append(self.strategy.step(self.learner, *batches))
                self.progress = replace(self.progress, in_a_row=0)
            except NonFiniteGradientError:
                skipped += 1
                self._give_up_step(epoch)
            self.model.on_step_end()
            for callback in self.callbacks:
                callback.on_step(epoch, step)
        if not losses and (self.steps > 1 or self._never_stepped(epoch)):
            self._diverged(epoch, f"no step had a finite loss or gradient ({skipped} skipped)")
        return losses, skipped

    def _never_stepped(self, epoch: int) -> bool:
        """Whether training ends with this epoch without a single update."""
        return epoch == self.settings.epochs and all(record.loss is None for record in self.records)

    def _give_up_step(self, epoch: int) -> None:
        self.learner.end_step()
        self.progress = replace(self.progress, in_a_row=self.progress.in_a_row + 1)
        logger.warning("epoch %d: a step was skipped, its loss or gradient was not finite", epoch)
        if self.progress.in_a_row >= PATIENCE_WITH_NON_FINITE:
            self._diverged(
                epoch, f"{PATIENCE_WITH_NON_FINITE} steps in a row had a loss or gradient that was not finite"
            )

    def _check_weights(self, epoch: int) -> None:
        """Weights that are not finite are neither evaluated nor saved."""
        if not all(checkpoints.all_finite(one) for one in self.learner.params):
            self._diverged(epoch, "a weight is not finite any more")

    def _diverged(self, epoch: int, reason: str) -> NoReturn:
        kept = "; the last checkpoint is kept" if self.folder and epoch > 1 else ""
        raise DivergedError(
            f"epoch {epoch}: {reason}{kept}; lower optimizer.lr, strategy.rho or what else is very large, or set "
            "training.max_grad_norm"
        )

    def _evaluate(self) -> Mapping[str, float]:
        self.model.eval()
        return self.validate(self.model) if self.validate is not None else {}

    def _judged(self, epoch: int, valid: Mapping[str, float]) -> Progress:
        if self.settings.select == "last":
            return replace(self.progress, epoch=epoch, best_epoch=epoch)
        if not valid:
            return replace(self.progress, epoch=epoch)
        score, tie_breaker = valid[self.settings.monitor], valid.get(self.settings.tie_breaker)
        if _better((score, tie_breaker), (self.progress.best_score, self.progress.best_tie_breaker)):
            return replace(
                self.progress,
                epoch=epoch,
                best_epoch=epoch,
                best_score=score,
                best_tie_breaker=tie_breaker,
                waited=0,  # also where the tie-breaker alone is better: there is a new best epoch
            )
        waited = self.progress.waited + 1
        return replace(self.progress, epoch=epoch, waited=waited, stopped=waited >= self.settings.patience)

    def _save(self, record: EpochRecord, before: int) -> None:
        """Write what is due; the best parameters travel in the checkpoint, so that the two cannot disagree.

        The line of an epoch comes before its checkpoint: wherever a kill falls, a checkpoint tells that there were the
        lines up to its epoch.
        """
        if self.folder is None:
            return
        append_line(self.folder / RECORDS, record, self.identity.digest)
        due = record.epoch % self.settings.checkpoint_every == 0 or record.epoch == self.settings.epochs
        if due or self.progress.stopped or before == 0:
            optimizer, rest = checkpoints.optimizer_tensors(self.learner.optimizer)
            tensors = {f"model.{name}": one for name, one in self.model.state_dict().items()}
            tensors |= {f"optimizer.{name}": one for name, one in optimizer.items()}
            tensors |= {f"strategy.{name}": one for name, one in self.strategy.state().items()}
            if not record.best:
                tensors |= {f"best.{name}": one for name, one in self._best.items()}
            self._write_checkpoint(tensors, rest)

    def _write_checkpoint(self, tensors: Mapping[str, Tensor], optimizer: Mapping[str, object]) -> None:
        if self.folder is not None:
            facts = {
                "run": self.identity.as_dict(),
                "device": self._device,
                "progress": vars(self.progress),
                "optimizer": optimizer,
            }
            checkpoints.save(self.folder / CHECKPOINT, Checkpoint(tensors, facts))

    def resume(self) -> None:
        """Take up the folder's checkpoint; where training has not begun there, begin it.

        Raises:
            ValueError: the checkpoint or the records are damaged, gone, of another run, or of another kind of device.
        """
        if self.folder is None:
            return
        path, lines = self.folder / CHECKPOINT, self.folder / RECORDS
        if not path.exists():
            if lines.exists() or path.with_suffix(".json").exists():
                raise ValueError(
                    f"{self.folder} holds a run that began, but its {CHECKPOINT} is gone; put it back, or train again "
                    "with --overwrite"
                )
            return
        saved = checkpoints.load(path, self.learner.params[0].device)
        self.identity.check(saved.facts.get("run"), path)
        progress = _progress(saved, path)
        records = read_lines(lines, self.identity.digest)
        if len(records) < progress.epoch:
            raise ValueError(
                f"{lines} holds {len(records)} epochs, but {CHECKPOINT} beside it is of epoch {progress.epoch}; put "
                "back the file of this run, or train again with --overwrite"
            )
        self.progress = progress
        if progress.epoch > 0:
            self._check_device(str(saved.facts.get("device")))
            try:
                self._take_up(saved)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
        self.records = records[: progress.epoch]
        write_lines(lines, self.records, self.identity.digest)  # a killed run may have written past its checkpoint

    def _take_up(self, saved: Checkpoint) -> None:
        best = best_parameters(saved)
        checkpoints.check_alike(best, self.model.state_dict(), "the best epoch")
        checkpoints.check_finite(best, "the best epoch")
        facts = saved.facts.get("optimizer")
        if not isinstance(facts, Mapping):
            raise ValueError(f"it holds no facts of its optimizer; {checkpoints.ADVICE}")
        checkpoints.restore_optimizer(self.learner.optimizer, checkpoints.part(saved, "optimizer"), facts)
        load_parameters(self.model, saved)
        self.strategy.reset(self.seed)
        self.strategy.load_state(checkpoints.part(saved, "strategy"), self.learner.params)
        self._best = best

    @property
    def _device(self) -> str:
        return provenance.device_name(self.learner.params[0].device)

    def _check_device(self, before: str) -> None:
        """What is finished may be read anywhere, but what goes on must end with the bits of a run never stopped."""
        over = self.progress.stopped or self.progress.epoch >= self.settings.epochs
        if not over and before.partition(":")[0] != self._device.partition(":")[0]:
            raise ValueError(
                f"{self.folder} was trained on {before} so far, and cannot go on on {self._device} bit for bit; resume "
                "it on such a device, or train it again (--overwrite)"
            )


def _better(now: tuple[float, float | None], best: tuple[float | None, float | None]) -> bool:
    """Whether an epoch's score beats the best so far, its tie-breaker deciding where the scores are equal."""
    if best[0] is None or now[0] != best[0]:
        return best[0] is None or now[0] > best[0]
    return now[1] is not None and best[1] is not None and now[1] > best[1]


def _progress(saved: Checkpoint, path: Path) -> Progress:
    try:
        progress = TypeAdapter(Progress).validate_json(json.dumps(saved.facts.get("progress")), strict=True)
        if 0 <= progress.best_epoch <= progress.epoch and progress.waited >= 0 and progress.in_a_row >= 0:
            return progress
        reason = "its epochs are out of order"
    except ValidationError as error:
        reason = error.errors()[0]["msg"].lower()
    raise ValueError(f"{path} says of its progress what cannot be ({reason}); {checkpoints.ADVICE}") from None


def best_parameters(saved: Checkpoint) -> dict[str, Tensor]:
    """The parameters of the best epoch: those of the last one where that is the best."""
    return checkpoints.part(saved, "best") or checkpoints.part(saved, "model")


def load_parameters(model: Model, saved: Checkpoint, *, best: bool = False) -> None:
    """Put the parameters of a checkpoint into a model: the last ones, or the best.

    Raises:
        ValueError: they do not fit the model, or one is not finite.
    """
    parameters = best_parameters(saved) if best else checkpoints.part(saved, "model")
    checkpoints.check_alike(parameters, model.state_dict(), "the checkpoint")
    checkpoints.check_finite(parameters, "the checkpoint")
    model.load_state_dict(parameters)
