"""Checks of the gradient of the loss, and of what steps along it do to a model."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice

import torch

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models.base import Model
from flatrec.strategies import MIXABLE, ON_EMBEDDINGS, STRATEGIES, Mixed, NonFiniteGradientError, Plain, Strategy
from flatrec.testing.datasets import whole_batch
from flatrec.testing.messages import ContractError, NotApplicableError, listed, number, one_line, require
from flatrec.testing.runs import (
    begin_epoch,
    copied,
    descend,
    evaluated,
    gradients,
    halves,
    random_state,
    seeded,
    trainable,
    training_loss,
    well_shaped,
)
from flatrec.training.embedding_context import PerturbTarget, perturbing
from flatrec.training.step_context import TrainStepContext

STEPS = 3  # of each of two epochs, in which a parameter may be reached
STRIDE = 1e-3  # of the step that must raise the margin, relative to the norm of the parameters


def check_gradients(model: Model, batch: Batch) -> None:
    """Every trainable parameter is reached by the loss and gets a finite gradient.

    Where one is not reached at once, the model takes a few steps of two epochs, in which it may join.

    Raises:
        AssertionError: it is not so.
    """
    require(bool(trainable(model)), "the model has no trainable parameter; make what is learned an nn.Parameter")
    found = gradients(model, training_loss(model, batch))
    dead = {name for name, one in found.items() if one is None}
    require(len(dead) < len(found), "the loss depends on no trainable parameter; compute it from them, without no_grad")
    bad = [name for name, one in found.items() if one is not None and not one.isfinite().all()]
    require(not bad, f"the gradient of {listed(bad)} must be finite, but holds NaN or infinity")
    dead -= _reached_later(model, batch) if dead else set()
    require(
        not dead,
        f"no loss of the first {STEPS} steps of two epochs reaches {listed([one for one in found if one in dead])}; "
        "use it, leave it out, or give it requires_grad=False",
    )


def check_step(model: Model, batch: Batch, *, lr: float = 1e-3) -> None:
    """One step of Adam lowers the loss of the batch, both taken under the same noise.

    Raises:
        AssertionError: it does not.
    """
    context = TrainStepContext(model.train(), torch.optim.Adam(model.parameters(), lr=lr))
    losses = []
    for _ in range(2):
        with random_state(0):
            losses.append(Plain().step(context, copied(batch)))
    before, after = losses
    require(
        bool(after < before),
        f"a step must lower the loss, but brings it from {number(before)} to {number(after)}; look at its sign",
    )


def check_ranking(make: Callable[[Dataset], Model], dataset: Dataset) -> None:
    """The loss moves embeddings the way that they rank: going down it, positives gain on negatives.

    ``make`` builds the model with any initial parameters.

    Raises:
        AssertionError: they do not.
        NotApplicableError: the gradient is not finite, or embeddings have the wrong shape.
    """
    make = seeded(make)
    model, moved, batch = make(dataset), make(dataset), whole_batch(dataset)
    begin_epoch(model)
    _step_aside(moved, model, batch)
    before, after = (_margin(one, dataset, batch) for one in (make(dataset), moved))
    require(
        after > before,
        "a small step down the loss must raise the mean score of positives over that of negatives, but brings the "
        f"difference from {number(before)} to {number(after)}; compute loss and embeddings from the same "
        "vectors, and mind the sign and which are the positives",
    )


def check_strategies(make: Callable[[], Model], batch: Batch, *, steps: int = 3, lr: float = 1e-3) -> None:
    """A few steps with every strategy, alone and mixed, leave loss and parameters finite.

    Raises:
        AssertionError: they do not, or a step raises.
    """
    alone: dict[str, Strategy] = {name: kind() for name, kind in STRATEGIES.items()}
    mixed = {f"{name}+": Mixed(kind()) for name, kind in MIXABLE.items()}
    for label, strategy in {**alone, **mixed}.items():
        target: PerturbTarget = "embeddings" if label.removesuffix("+") in ON_EMBEDDINGS else "parameters"
        try:
            _train(make(), strategy, batch, steps=steps, lr=lr, target=target)
        except NonFiniteGradientError:
            raise ContractError(f"{label}: a loss or gradient is not finite") from None
        except (Exception, SystemExit) as error:  # a stranger's model may raise anything
            raise ContractError(f"{label}: {one_line(error)}") from error


def _reached_later(model: Model, batch: Batch) -> set[str]:
    """The parameters that the loss of a step reaches, in the first steps of two epochs."""
    reached = set()
    for epoch in (1, 2):
        begin_epoch(model, epoch)
        for _ in range(STEPS):
            reached |= {name for name, one in descend(model, batch).items() if one is not None}
    return reached


def _step_aside(moved: Model, model: Model, batch: Batch) -> None:
    """Move one model a little down the gradient of another."""
    found = {name: one for name, one in gradients(model, training_loss(model, batch)).items() if one is not None}
    sizes = [torch.stack([one.detach().norm() for one in some.values()]).norm() for some in (trainable(moved), found)]
    if not sizes[1].isfinite():
        raise NotApplicableError("the gradient is not finite, which another check reports")
    stride = STRIDE * float(sizes[0] / sizes[1].clamp(min=torch.finfo(sizes[1].dtype).tiny))
    with torch.no_grad():
        for name, one in trainable(moved).items():
            if name in found:
                one.sub_(found[name], alpha=stride)


def _margin(model: Model, dataset: Dataset, batch: Batch) -> float:
    found = evaluated(model)
    if not well_shaped(found, dataset):
        raise NotApplicableError("embeddings have the wrong shape, which another check reports")
    users, items = (one.double() for one in found)
    return float((users[batch.users] * (items[batch.positives] - items[batch.negatives[:, 0]])).sum(dim=1).mean())


def _train(model: Model, strategy: Strategy, batch: Batch, *, steps: int, lr: float, target: PerturbTarget) -> None:
    begin_epoch(model)
    context = perturbing(TrainStepContext(model, torch.optim.Adam(model.parameters(), lr=lr)), target)
    batches = cycle(halves(batch))
    with random_state(0):
        for step in range(1, steps + 1):
            given = [copied(one) for one in islice(batches, strategy.batches_per_step)]
            loss = strategy.step(context, *given)
            model.on_step_end()
            require(bool(loss.isfinite()), f"the loss of step {step} must be finite, but is {number(loss)}")
    bad = [name for name, one in model.named_parameters() if not one.isfinite().all()]
    require(not bad, f"after {steps} steps {listed(bad)} must be finite, but holds NaN or infinity")
