"""The epoch loop: strategies step, validation decides when to stop, checkpoints let it go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from flatrec import seeding
from flatrec.config import Training
from flatrec.data.batches import Sampler
from flatrec.models.base import Model
from flatrec.strategies.base import Strategy
from flatrec.strategies.learner import Learner
from flatrec.strategies.learning import NonFiniteGradientError
from flatrec.training import checkpoint as checkpoints
from flatrec.training.checkpoint import Checkpoint
from flatrec.training.records import EpochRecord, Observer, append_line, cut_lines

PATIENCE_WITH_NON_FINITE = 10  # steps in a row
CHECKPOINT, RECORDS = "checkpoint.safetensors", "epochs.jsonl"

logger = logging.getLogger(__name__)


class DivergedError(RuntimeError):
    """Training came to nothing: too many steps in a row without a finite gradient."""


@dataclass(frozen=True)
class Progress:
    """Where training stands after an epoch; all that a checkpoint must hold besides tensors."""

    epoch: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    waited: int = 0  # evaluations since the best
    in_a_row: int = 0  # steps skipped in a row
    stopped: bool = False


@dataclass(frozen=True)
class Trained:
    """What training came to; the model holds the parameters of the best epoch."""

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
        validate: scores the model on the validation part; the trainer never sees another part.
        settings: lengths and portions.
        seed: of everything random.
        folder: where checkpoint and ``epochs.jsonl`` go; None to keep all in memory.
        observers: who hears of progress.
    """

    def __init__(
        self,
        learner: Learner,
        strategy: Strategy,
        sampler: Sampler,
        validate: Callable[[Model], Mapping[str, float]],
        *,
        settings: Training,
        seed: int,
        folder: Path | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.learner, self.strategy, self.sampler, self.validate = learner, strategy, sampler, validate
        self.model = learner.model
        self.settings = settings
        self.seed = seed
        self.folder = folder
        self.observers = observers
        self.steps = sampler.steps(strategy.batches_per_step, strategy.pairing)
        self.progress = Progress()
        self.records: list[EpochRecord] = []
        self._best: dict[str, Tensor] = {}

    def run(self) -> Trained:
        """Train to the end; afterwards the model holds its best parameters and is in evaluation mode.

        Raises:
            DivergedError: ten steps in a row had no finite gradient; the last checkpoint is kept.
            KeyError: the monitored metric is not among the validation metrics.
        """
        if self.progress.epoch == 0:  # the strategy may have trained before
            self.strategy.reset(self.seed)
        cuda = range(torch.cuda.device_count())
        with torch.random.fork_rng(cuda):
            for observer in self.observers:
                observer.on_start(self.progress.epoch + 1, self.settings.epochs, self.steps)
            try:
                while not self.progress.stopped and self.progress.epoch < self.settings.epochs:
                    self._epoch(self.progress.epoch + 1)
            finally:
                for observer in self.observers:
                    observer.on_end()
        self.model.load_state_dict(self._best)
        self.model.eval()
        return Trained(self.progress.epoch, self.progress.best_epoch, tuple(self.records))

    def _epoch(self, epoch: int) -> None:
        started = time.perf_counter()
        before = self.progress.epoch
        losses, skipped = self._train(epoch)
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
            best=self.progress.best_epoch == epoch,
            trace=self.strategy.take_trace(),
        )
        self.records.append(record)
        if record.best:
            self._best = {name: one.detach().clone() for name, one in self.model.state_dict().items()}
        self._save(record, before)
        for observer in self.observers:
            observer.on_epoch(record)

    def _train(self, epoch: int) -> tuple[list[Tensor], int]:
        self.model.train()
        torch.manual_seed(seeding.number(self.seed, "noise", epoch))
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
            for observer in self.observers:
                observer.on_step(epoch, step)
        return losses, skipped

    def _give_up_step(self, epoch: int) -> None:
        self.learner.end_step()
        self.progress = replace(self.progress, in_a_row=self.progress.in_a_row + 1)
        logger.warning("epoch %d: a step was skipped, its loss or gradient was not finite", epoch)
        if self.progress.in_a_row >= PATIENCE_WITH_NON_FINITE:
            kept = "; the last checkpoint is kept" if self.folder and epoch > 1 else ""
            raise DivergedError(
                f"epoch {epoch}: {PATIENCE_WITH_NON_FINITE} steps in a row had a loss or gradient that was not "
                f"finite{kept}; lower optimizer.lr or strategy.rho, or set training.clip"
            )

    def _evaluate(self) -> Mapping[str, float]:
        self.model.eval()
        return self.validate(self.model)

    def _judged(self, epoch: int, valid: Mapping[str, float]) -> Progress:
        if not valid:
            return replace(self.progress, epoch=epoch)
        score = valid[self.settings.monitor]
        if self.progress.best_score is None or score > self.progress.best_score:
            return replace(self.progress, epoch=epoch, best_epoch=epoch, best_score=score, waited=0)
        waited = self.progress.waited + 1
        return replace(self.progress, epoch=epoch, waited=waited, stopped=waited >= self.settings.patience)

    def _save(self, record: EpochRecord, before: int) -> None:
        """Write what is due; the best parameters travel in the checkpoint, so that the two cannot disagree."""
        if self.folder is None:
            return
        append_line(self.folder / RECORDS, record)
        due = record.epoch % self.settings.checkpoint_every == 0 or record.epoch == self.settings.epochs
        if due or self.progress.stopped or before == 0:
            optimizer, rest = checkpoints.optimizer_tensors(self.learner.optimizer)
            tensors = {f"model.{name}": one for name, one in self.model.state_dict().items()}
            tensors |= {f"optimizer.{name}": one for name, one in optimizer.items()}
            tensors |= {f"strategy.{name}": one for name, one in self.strategy.state().items()}
            if not record.best:
                tensors |= {f"best.{name}": one for name, one in self._best.items()}
            facts = {"progress": vars(self.progress), "optimizer": rest}
            checkpoints.save(self.folder / CHECKPOINT, Checkpoint(tensors, facts))

    def resume(self) -> None:
        """Take up the folder's checkpoint; where there is none, begin anew.

        Raises:
            ValueError: the checkpoint is damaged or belongs to another model.
        """
        if self.folder is None:
            return
        if (self.folder / CHECKPOINT).exists():
            saved = checkpoints.load(self.folder / CHECKPOINT, self.learner.params[0].device)
            load_parameters(self.model, saved)
            checkpoints.restore_optimizer(
                self.learner.optimizer, checkpoints.part(saved, "optimizer"), saved.facts["optimizer"]
            )
            self.strategy.reset(self.seed)
            self.strategy.load_state(checkpoints.part(saved, "strategy"), self.learner.params)
            self.progress = Progress(**saved.facts["progress"])
            self._best = best_parameters(saved)
        self.records = cut_lines(self.folder / RECORDS, self.progress.epoch)


def best_parameters(saved: Checkpoint) -> dict[str, Tensor]:
    """The parameters of the best epoch: those of the last one where that is the best."""
    return checkpoints.part(saved, "best") or checkpoints.part(saved, "model")


def load_parameters(model: Model, saved: Checkpoint, *, best: bool = False) -> None:
    """Put the parameters of a checkpoint into a model: the last ones, or the best.

    Raises:
        ValueError: they do not fit the model.
    """
    try:
        model.load_state_dict(best_parameters(saved) if best else checkpoints.part(saved, "model"))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"the checkpoint belongs to another model or other data: {reason[:300]}") from None
