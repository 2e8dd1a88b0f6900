"""Checks of what a model does in training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle, islice

import torch
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.models.base import Model
from flatrec.strategies import MIXABLE, STRATEGIES, Learner, Mixed, NonFiniteGradientError, Plain, Strategy
from flatrec.testing.contents import changes, listed, snapshot, unregistered
from flatrec.testing.runs import begin_epoch, copied, random_state, same, training_loss


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
        f"{listed(sorted(found))}: tensors in plain attributes are not trained, saved or moved to a device; "
        "make them nn.Parameter, or call register_buffer",
    )


def check_loss(model: Model, batch: Batch) -> None:
    """The loss is a finite scalar, depends on nothing hidden, and computing it writes no attribute or buffer.

    Raises:
        AssertionError: it is not so.
    """
    before = snapshot(model)
    first, second = (training_loss(model, batch) for _ in range(2))
    require(first.shape == (), f"the loss must be a scalar, but has shape {tuple(first.shape)}")
    require(bool(first.isfinite()), f"the loss must be finite, but is {first.item()}")
    written = changes(before, snapshot(model))
    require(
        not written,
        f"encode and loss must write nothing, but they change {listed(written)}; change it in on_epoch_start or "
        "on_step_end, or compute it anew",
    )
    require(
        same(first, second),
        f"equal calls must give equal losses, but give {first.item()} and {second.item()} under one random state of "
        "torch; draw with torch alone, and count nothing",
    )


def check_batch(model: Model, batch: Batch) -> None:
    """The batch is only read: a second pass over it, or another model, must find it as it was.

    Raises:
        AssertionError: it is not so.
    """
    given = copied(batch)
    model.train().loss(model.encode(), given)
    edited = [name for name, column in vars(batch).items() if not same(column, vars(given)[name])]
    require(
        not edited,
        f"the loss edits {listed([f'batch.{name}' for name in edited])} in place; write batch.x + n instead of "
        "batch.x += n",
    )


def check_pure(model: Model, batch: Batch) -> None:
    """The loss is a finite scalar, depends on nothing hidden, and computing it writes nothing.

    Raises:
        AssertionError: it is not so.
    """
    check_loss(model, batch)
    check_batch(model, batch)


def check_gradients(model: Model, batch: Batch) -> None:
    """Every trainable parameter is reached by the loss and gets a finite gradient.

    Raises:
        AssertionError: it is not so.
    """
    params = _trainable(model)
    require(bool(params), "the model has no trainable parameter; make what is learnt an nn.Parameter")
    loss = training_loss(model, batch)
    require(loss.requires_grad, "the loss depends on no trainable parameter; compute it from them, without no_grad")
    gradients = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    named = dict(zip(params, gradients, strict=True))
    dead = [name for name, one in named.items() if one is None]
    require(not dead, f"the loss does not reach {listed(dead)}; use it, leave it out, or give it requires_grad=False")
    bad = [name for name, one in named.items() if one is not None and not one.isfinite().all()]
    require(not bad, f"the gradient of {listed(bad)} must be finite, but holds NaN or infinity")


def check_step(model: Model, batch: Batch, *, lr: float = 1e-3) -> None:
    """One step of Adam lowers the loss of the batch, both taken under the same noise.

    Raises:
        AssertionError: it does not.
    """
    learner = Learner(model.train(), torch.optim.Adam(model.parameters(), lr=lr))
    losses = []
    for _ in range(2):
        with random_state(0):
            losses.append(Plain().step(learner, copied(batch)))
    before, after = losses
    require(bool(after < before), f"a step must lower the loss, but brings it from {before} to {after}")


def check_shared_encode(model: Model, batch: Batch) -> None:
    """Losses and gradients of several batches from one ``encode`` are those from an ``encode`` each.

    Raises:
        AssertionError: they are not.
    """
    first, second = _halves(batch)
    with random_state(0):
        encoded = model.train().encode()
    shared = []
    for half in (first, second):
        with random_state(0):
            shared.append(model.loss(encoded, copied(half)))
    alone = []
    for half in (first, second):
        with random_state(0):
            anew = model.encode()
        with random_state(0):
            alone.append(model.loss(anew, copied(half)))
    advice = "the loss must only read what encode gives, and keep nothing from an earlier batch"
    for number, (one, other) in enumerate(zip(shared, alone, strict=True), start=1):
        require(same(one, other), f"batch {number} has loss {one} beside another batch and {other} alone; {advice}")
    _require_equal_gradients(model, shared, alone, advice)


def check_epoch_draw(make: Callable[[], Model], batch: Batch) -> None:
    """What ``on_epoch_start`` draws depends on its generator and the saved state alone, so that runs can be resumed.

    ``make`` gives a new model with the same initial parameters each time.

    Raises:
        AssertionError: it does not.
    """
    one, other = make(), make()
    for noise, model in enumerate((one, other)):
        with random_state(noise):
            begin_epoch(model)
    differing = changes(snapshot(one, opaque=False), snapshot(other, opaque=False))
    differing = differing or ([] if same(*(training_loss(model, batch) for model in (one, other))) else ["the loss"])
    require(
        not differing,
        f"equal generators must give equal epochs, but {listed(differing)} changes with torch's global state; "
        "draw from the generator that on_epoch_start is given alone",
    )
    unbroken, resumed = make(), make()
    begin_epoch(unbroken)
    unbroken.on_step_end()
    resumed.load_state_dict(unbroken.state_dict())
    for model in (unbroken, resumed):
        with random_state(0):
            begin_epoch(model, 2)
    differing = changes(snapshot(unbroken, opaque=False), snapshot(resumed, opaque=False))
    require(
        not differing,
        f"a resumed run must go on as an unbroken one, but {listed(differing)} in epoch 2 depends on epoch 1; "
        "set it anew in on_epoch_start, or keep it in a persistent buffer",
    )


def check_strategies(make: Callable[[], Model], batch: Batch, *, steps: int = 3, lr: float = 1e-3) -> None:
    """A few steps with every strategy, alone and mixed, leave loss and parameters finite.

    Raises:
        AssertionError: they do not, or a step raises.
    """
    alone: dict[str, Strategy] = {name: kind() for name, kind in STRATEGIES.items()}
    mixed = {f"{name}+": Mixed(kind()) for name, kind in MIXABLE.items()}
    for label, strategy in {**alone, **mixed}.items():
        try:
            _train(make(), strategy, batch, steps=steps, lr=lr)
        except NonFiniteGradientError:
            raise AssertionError(f"{label}: a loss or gradient is not finite") from None
        except Exception as error:
            raise AssertionError(f"{label}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """What an error says, on one line; its kind comes first unless it is a failed check."""
    said = " ".join(str(error).split())
    if isinstance(error, AssertionError) and said:
        return said
    shown = said if len(said) <= 300 else f"{said[:300]}..."
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


def require(claim: bool, message: str) -> None:
    """Raise an AssertionError with the message unless the claim holds."""
    if not claim:
        raise AssertionError(message)


def _train(model: Model, strategy: Strategy, batch: Batch, *, steps: int, lr: float) -> None:
    begin_epoch(model)
    learner = Learner(model, torch.optim.Adam(model.parameters(), lr=lr))
    batches = cycle(_halves(batch))
    with random_state(0):
        for step in range(1, steps + 1):
            given = [copied(one) for one in islice(batches, strategy.batches_per_step)]
            loss = strategy.step(learner, *given)
            model.on_step_end()
            require(bool(loss.isfinite()), f"the loss of step {step} must be finite, but is {loss}")
    bad = [name for name, one in model.named_parameters() if not one.isfinite().all()]
    require(not bad, f"after {steps} steps {listed(bad)} must be finite, but holds NaN or infinity")


def _halves(batch: Batch) -> list[Batch]:
    columns = [column.chunk(2) for column in vars(batch).values()]
    return [Batch(*parts) for parts in zip(*columns, strict=True)]


def _trainable(model: Model) -> Mapping[str, Tensor]:
    return {name: one for name, one in model.named_parameters() if one.requires_grad}


def _require_equal_gradients(model: Model, shared: list[Tensor], alone: list[Tensor], advice: str) -> None:
    params = _trainable(model)
    for one, other in zip(shared, alone, strict=True):
        if not one.requires_grad or not other.requires_grad:
            continue
        both = [
            torch.autograd.grad(loss, list(params.values()), retain_graph=True, materialize_grads=True)
            for loss in (one, other)
        ]
        for name, first, second in zip(params, *both, strict=True):
            equal = torch.allclose(first, second, rtol=1e-4, atol=1e-6, equal_nan=True)
            require(equal, f"the gradient of {name} differs between a shared encode and one of its own; {advice}")
