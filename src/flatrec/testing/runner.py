"""All checks of the model contract, run on one model, each independent of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models.base import Model
from flatrec.testing.datasets import tiny_dataset, unshared, whole_batch
from flatrec.testing.equivariance import check_permutation
from flatrec.testing.evaluation import check_eval_deterministic, check_no_stale_cache, check_round_trip, check_shapes
from flatrec.testing.gradients import check_gradients, check_ranking, check_step, check_strategies
from flatrec.testing.leakage import check_data_kept, check_held_out, check_isolated_nodes
from flatrec.testing.linearity import check_linear_encode
from flatrec.testing.messages import ContractError, NotApplicableError, one_line
from flatrec.testing.purity import check_batch, check_loss, check_registered, check_runs, check_shared_encode
from flatrec.testing.reproducibility import check_epoch_draw, check_initial
from flatrec.testing.runs import begin_epoch, disturb, random_state, trainable, training_loss

Outcome: TypeAlias = Literal["ok", "FAILED", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What one check came to.

    Args:
        check: its name.
        outcome: ``ok``, ``FAILED`` or ``skipped``.
        meaning: what it claims of the model.
        reason: why it failed or was skipped, one line; empty where all is well.
        error: what the model raised, where it did.
    """

    check: str
    outcome: Outcome
    meaning: str
    reason: str = ""
    error: BaseException | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, eq=False)
class _Subject:
    """What checks are given: data, and as many new models as they like, each on a copy of the data."""

    make: Callable[[Dataset], Model]
    dataset: Dataset
    batch: Batch

    def on(self, dataset: Dataset) -> Model:
        """A new model on other data."""
        return self.make(unshared(dataset))

    def built(self, seed: int = 0) -> Model:
        """A new model; equal seeds give equal parameters."""
        with random_state(seed):
            return self.on(self.dataset)

    def begun(self) -> Model:
        """A new model in its first epoch."""
        model = self.built()
        with random_state(0):
            begin_epoch(model)
        return model

    def disturbed(self) -> Model:
        """A new model in its first epoch whose parameters have moved."""
        model = self.begun()
        disturb(model)
        return model

    def require_training(self) -> None:
        """Make sure that there is something to train.

        Raises:
            NotApplicableError: there is not.
        """
        model = self.begun()
        if not trainable(model) or not training_loss(model, self.batch).requires_grad:
            raise NotApplicableError("nothing is trained, which another check reports")


@dataclass(frozen=True)
class _Check:
    """A name, what it claims, what to run, and whether it takes a model that trains."""

    name: str
    meaning: str
    run: Callable[[_Subject], None]
    trains: bool = False


_RUNS = _Check(
    "runs",
    "the model is built, evaluates, and takes a step, and what it returns has the right form",
    lambda one: check_runs(one.on, one.dataset),
)

_CHECKS = (
    _Check(
        "registered tensors",
        "tensors are parameters or buffers, so that they are trained, saved and moved",
        lambda one: check_registered(one.begun(), one.batch),
    ),
    _Check(
        "initial parameters",
        "they come from torch's random state alone, and differ from seed to seed",
        lambda one: check_initial(one.on, one.dataset),
    ),
    _Check(
        "data unchanged",
        "the features and interactions of the data set are only read",
        lambda one: check_data_kept(one.make, one.dataset),
    ),
    _Check(
        "held-out data unseen",
        "interactions held out for validation and test play no role",
        lambda one: check_held_out(one.on, one.dataset),
    ),
    _Check(
        "pure loss",
        "the loss is finite, repeats under one random state, and writes nothing",
        lambda one: check_loss(one.begun(), one.batch),
    ),
    _Check("batch unchanged", "the loss only reads its batch", lambda one: check_batch(one.begun(), one.batch)),
    _Check(
        "gradients",
        "the loss reaches every trainable parameter with a finite gradient",
        lambda one: check_gradients(one.begun(), one.batch),
    ),
    _Check("step", "one step of Adam lowers the loss", lambda one: check_step(one.begun(), one.batch), trains=True),
    _Check(
        "ranking",
        "going down the loss, positives gain on negatives",
        lambda one: check_ranking(one.on, one.dataset),
        trains=True,
    ),
    _Check(
        "shared encode",
        "one encode serves several batches",
        lambda one: check_shared_encode(one.begun(), one.batch),
        trains=True,
    ),
    _Check(
        "linear encode",
        "encode is linear where LINEAR says so",
        lambda one: check_linear_encode(one.begun()),
    ),
    _Check(
        "epoch draw",
        "what an epoch draws depends on its generator and the saved state alone",
        lambda one: check_epoch_draw(one.built, one.batch),
    ),
    _Check(
        "strategies",
        "a few steps with every strategy, alone and mixed, stay finite",
        lambda one: check_strategies(one.built, one.batch),
        trains=True,
    ),
    _Check(
        "shapes",
        "there is one finite embedding per user and per item, all of one width",
        lambda one: check_shapes(one.begun(), one.dataset),
    ),
    _Check(
        "isolated nodes",
        "users and items without a training interaction leave everything finite",
        lambda one: check_isolated_nodes(one.on, one.dataset),
    ),
    _Check(
        "no stale cache",
        "evaluation shows the parameters as they are, not as the last forward saw them",
        lambda one: check_no_stale_cache(one.built, one.batch),
    ),
    _Check("deterministic evaluation", "evaluation is not random", lambda one: check_eval_deterministic(one.begun())),
    _Check(
        "checkpoint",
        "the saved state, loaded into another model, gives equal embeddings",
        lambda one: check_round_trip(one.disturbed(), one.built(seed=1)),
        trains=True,
    ),
    _Check(
        "permutation",
        "other indices of users and items change nothing",
        lambda one: check_permutation(one.on, one.dataset),
        trains=True,
    ),
)


def check_model(make: Callable[[Dataset], Model], dataset: Dataset | None = None) -> list[Finding]:
    """Check the contract that training, resuming and ranking rest on.

    Every check gets new models and is independent of the others; one that raises anything has failed. Where the model
    does not run at all, that is the one failure, and the others are skipped.

    Args:
        make: builds the model on a data set; it is called dozens of times, on smaller and larger data.
        dataset: tiny data to check it on; those of :func:`tiny_dataset` where left out.

    Example:
        >>> from flatrec.models import BPR
        >>> findings = check_model(lambda data: BPR(data, BPR.Config(embedding_dim=4)))
        >>> [finding.check for finding in findings if finding.outcome != "ok"]
        []
    """
    data = tiny_dataset() if dataset is None else dataset
    subject = _Subject(make, data, whole_batch(data))
    first = _finding(_RUNS, subject)
    if first.outcome != "ok":
        return [first, *(Finding(one.name, "skipped", one.meaning, "the model does not run") for one in _CHECKS)]
    return [first, *(_finding(check, subject) for check in _CHECKS)]


def _finding(check: _Check, subject: _Subject) -> Finding:
    try:
        with random_state(0):
            if check.trains:
                subject.require_training()
            check.run(subject)
    except NotApplicableError as reason:
        return Finding(check.name, "skipped", check.meaning, str(reason))
    except (Exception, SystemExit) as error:  # whatever a stranger's model raises is a finding, not a crash
        crash = error.__cause__ if isinstance(error, ContractError) else error
        return Finding(check.name, "FAILED", check.meaning, one_line(error), crash)
    return Finding(check.name, "ok", check.meaning)
