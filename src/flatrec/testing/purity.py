"""Checks that a model runs, and that computing its loss is a pure function of parameters and batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models.base import Model
from flatrec.testing.datasets import whole_batch
from flatrec.testing.messages import kind_of, listed, number, require
from flatrec.testing.model_state import changes, snapshot, unregistered
from flatrec.testing.runs import (
    BATCH_COLUMNS,
    begin_epoch,
    copied,
    edits,
    encoded,
    evaluated,
    gradients,
    halves,
    loss_of,
    random_state,
    same,
    trainable,
    training_loss,
)

RUNNING = {"running_mean", "running_var", "num_batches_tracked"}  # what batch normalization writes in training mode


def check_runs(make: Callable[[Dataset], Model], dataset: Dataset) -> None:
    """A new model evaluates, begins an epoch, takes a step and evaluates again.

    Raises:
        AssertionError: something has not the form that it must have; whatever the model raises comes through.
    """
    model: object = make(dataset)
    require(isinstance(model, Model), f"a model must be a flatrec.models.Model, but is {kind_of(model)}")
    assert isinstance(model, Model)
    evaluated(model)  # as a model that is loaded is, before any epoch
    begin_epoch(model)
    gradients(model, training_loss(model, whole_batch(dataset)))
    model.on_step_end()
    evaluated(model)


def check_registered(model: Model, batch: Batch) -> None:
    """Every tensor that the constructor and the hooks leave behind is a parameter or a buffer.

    What encode and loss leave behind is for :func:`check_loss` to find.

    Raises:
        AssertionError: it is not so.
    """
    found = set(unregistered(model))
    training_loss(model, batch)
    cached = set(unregistered(model)) - found
    model.on_step_end()
    found |= set(unregistered(model)) - cached
    require(
        not found,
        "every tensor must be a parameter or buffer to be trained, saved and moved to a device, but plain attributes "
        f"hold {listed(sorted(found))}; make them nn.Parameter, or call register_buffer",
    )


def check_loss(model: Model, batch: Batch) -> None:
    """The loss is a finite scalar, depends on nothing hidden, and computing it writes no attribute or buffer.

    Raises:
        AssertionError: it is not so.
    """
    before = snapshot(model)
    first, second = (training_loss(model, batch, numpy_seed=other) for other in (1, 2))
    require(bool(first.isfinite()), f"the loss must be finite, but is {number(first)}")
    written = changes(before, snapshot(model))
    require(not written, f"encode and loss must write nothing, but they change {listed(written)}; {_remedy(written)}")
    require(
        same(first, second),
        f"equal calls must give equal losses, but give {number(first)} and {number(second)} under one random state "
        "of torch; draw with torch alone, not with NumPy or Python, and count nothing",
    )


def check_batch(model: Model, batch: Batch) -> None:
    """The batch is only read: a second pass over it, or another model, must find it as it was.

    Raises:
        AssertionError: it is not so.
    """
    given = copied(batch)
    loss_of(model, encoded(model.train()), given)
    edited = [f"batch.{name}" for name in BATCH_COLUMNS if not same(getattr(batch, name), getattr(given, name))]
    require(not edited, edits(edited))


def check_pure(model: Model, batch: Batch) -> None:
    """The loss is a finite scalar, depends on nothing hidden, and computing it writes nothing.

    Raises:
        AssertionError: it is not so.
    """
    check_loss(model, batch)
    check_batch(model, batch)


def check_shared_encode(model: Model, batch: Batch) -> None:
    """Losses and gradients of several batches from one ``encode`` are those from an ``encode`` each.

    Raises:
        AssertionError: they are not.
    """
    parts = halves(batch)
    with random_state(0):
        given = encoded(model.train())
    shared = []
    for half in parts:
        with random_state(0):
            shared.append(loss_of(model, given, copied(half)))
    alone = []
    for half in parts:
        with random_state(0):
            again = encoded(model)
        with random_state(0):
            alone.append(loss_of(model, again, copied(half)))
    advice = "the loss must only read what encode gives, and keep nothing from an earlier batch"
    for place, (one, other) in enumerate(zip(shared, alone, strict=True), start=1):
        losses = f"has loss {number(one)} beside another batch and {number(other)} alone"
        require(same(one, other), f"batch {place} {losses}; {advice}")
    _require_equal_gradients(model, shared, alone, advice)


def _remedy(written: Sequence[str]) -> str:
    if {name.rpartition(".")[2] for name in written} <= RUNNING:
        return "use batch normalization with track_running_stats=False, or nn.LayerNorm"
    return "change it in on_epoch_start or on_step_end, or compute it again"


def _require_equal_gradients(model: Model, shared: list[Tensor], alone: list[Tensor], advice: str) -> None:
    params = trainable(model)
    for one, other in zip(shared, alone, strict=True):
        if not one.requires_grad or not other.requires_grad:
            continue
        both = [
            torch.autograd.grad(loss, list(params.values()), retain_graph=True, materialize_grads=True)
            for loss in (one, other)
        ]
        for name, first, second in zip(params, *both, strict=True):
            equal = torch.allclose(first, second, rtol=1e-4, atol=1e-6, equal_nan=True)
            require(equal, f"the gradient of {name!r} differs between a shared encode and one of its own; {advice}")
