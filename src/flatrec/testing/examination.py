"""All checks of the model contract, run on one model, each independent of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models.base import Model
from flatrec.testing.checks import (
    check_batch,
    check_epoch_draw,
    check_gradients,
    check_loss,
    check_registered,
    check_shared_encode,
    check_step,
    check_strategies,
    one_line,
)
from flatrec.testing.data import block_dataset, whole_batch
from flatrec.testing.evaluations import check_fresh, check_quiet, check_round_trip, check_shapes
from flatrec.testing.numbering import NotApplicableError, check_permutation
from flatrec.testing.runs import begin_epoch, disturb, random_state

Outcome: TypeAlias = Literal["ok", "FAILED", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What one check came to.

    Args:
        check: its name.
        outcome: ``ok``, ``FAILED`` or ``skipped``.
        meaning: what it claims of the model.
        reason: why it failed or was skipped, one line; empty where all is well.
    """

    check: str
    outcome: Outcome
    meaning: str
    reason: str = ""


@dataclass(frozen=True, eq=False)
class _Subject:
    """What checks are given: data, and as many new models as they like."""

    make: Callable[[Dataset], Model]
    dataset: Dataset
    batch: Batch

    def built(self, dataset: Dataset | None = None, seed: int = 0) -> Model:
        """A new model; equal seeds and data give equal parameters."""
        with random_state(seed):
            return self.make(self.dataset if dataset is None else dataset)

    def begun(self) -> Model:
        """A new model in its first epoch."""
        model = self.built()
        with random_state(0):
            begin_epoch(model)
        return model

    def disturbed(self) -> Model:
        """A new model whose parameters have moved."""
        model = self.built()
        disturb(model)
        return model


@dataclass(frozen=True)
class _Check:
    name: str
    meaning: str
    run: Callable[[_Subject], None]


_CHECKS = (
    _Check(
        "registered",
        "tensors are parameters or buffers, so that they are trained, saved and moved",
        lambda one: check_registered(one.begun(), one.batch),
    ),
    _Check(
        "pure loss",
        "the loss is a finite scalar, repeats under one random state, and writes nothing",
        lambda one: check_loss(one.begun(), one.batch),
    ),
    _Check("batch kept", "the loss only reads its batch", lambda one: check_batch(one.begun(), one.batch)),
    _Check(
        "gradients",
        "the loss reaches every trainable parameter with a finite gradient",
        lambda one: check_gradients(one.begun(), one.batch),
    ),
    _Check("step", "one step of Adam lowers the loss", lambda one: check_step(one.begun(), one.batch)),
    _Check(
        "shared encode",
        "one encode serves several batches",
        lambda one: check_shared_encode(one.begun(), one.batch),
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
    ),
    _Check(
        "shapes",
        "representations are one finite vector a user and an item, of one width",
        lambda one: check_shapes(one.begun(), one.dataset),
    ),
    _Check(
        "fresh evaluation",
        "evaluation shows the parameters as they are, not as the last forward saw them",
        lambda one: check_fresh(one.built, one.batch),
    ),
    _Check("quiet evaluation", "evaluation is not random", lambda one: check_quiet(one.begun())),
    _Check(
        "checkpoint",
        "the saved state, loaded into another model, gives equal representations",
        lambda one: check_round_trip(one.disturbed(), one.built(seed=1)),
    ),
    _Check(
        "numbering",
        "numbering users and items anew changes nothing",
        lambda one: check_permutation(one.built, one.dataset),
    ),
)


def tiny_dataset() -> Dataset:
    """The data that models are examined on: 33 users, 27 items, pictures and texts; hardly a layer's width."""
    return block_dataset(users=11, items=9)


def examine(make: Callable[[Dataset], Model], dataset: Dataset | None = None) -> list[Finding]:
    """Check the contract that training, resuming and ranking rest on.

    Every check gets new models and is independent of the others; one that raises anything has failed.

    Args:
        make: builds the model on a data set; it is called dozens of times, on smaller and larger data.
        dataset: tiny data to examine it on; those of :func:`tiny_dataset` where left out.

    Example:
        >>> from flatrec.models import BPR
        >>> [one.check for one in examine(lambda data: BPR(data, dim=4)) if one.outcome != "ok"]
        []
    """
    data = tiny_dataset() if dataset is None else dataset
    subject = _Subject(make, data, whole_batch(data))
    return [_finding(check, subject) for check in _CHECKS]


def _finding(check: _Check, subject: _Subject) -> Finding:
    try:
        with random_state(0):
            check.run(subject)
    except NotApplicableError as reason:
        return Finding(check.name, "skipped", check.meaning, str(reason))
    except Exception as error:  # whatever a stranger's model raises is a finding, not a crash
        return Finding(check.name, "FAILED", check.meaning, one_line(error))
    return Finding(check.name, "ok", check.meaning)
