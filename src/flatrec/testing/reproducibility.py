"""Checks of where what is random comes from, so that runs repeat and go on as if never broken off."""

from __future__ import annotations

from collections.abc import Callable

import torch

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models.base import Model
from flatrec.testing.messages import listed, require
from flatrec.testing.model_state import changes, snapshot
from flatrec.testing.runs import begin_epoch, random_state, same, trainable, training_loss


def check_initial(make: Callable[[Dataset], Model], dataset: Dataset) -> None:
    """Equal random states of torch give equal models, and others differ.

    Parameters that begin constant, such as zeros, may be equal.

    Raises:
        AssertionError: it is not so.
    """
    models, seeds_itself = [], False
    for seed, numpy_seed in ((0, 1), (0, 2), (1, 1)):
        with random_state(seed, numpy_seed=numpy_seed):
            models.append(make(dataset))
            seeds_itself |= torch.initial_seed() != seed
    require(
        not seeds_itself,
        "the constructor must leave torch's seed alone, but sets it, so that every seed gives one and the same run; "
        "take torch.manual_seed out",
    )
    first, second, other = (snapshot(one, opaque=False) for one in models)
    differing = changes(first, second)
    require(
        not differing,
        f"equal random states of torch must give equal models, but {listed(differing)} differs; draw initial values "
        "with torch alone, not with NumPy or Python",
    )
    drawn = [name for name, one in trainable(models[0]).items() if one.numel() and bool((one != one.ravel()[0]).any())]
    require(
        not drawn or bool(changes(first, other)),
        f"other random states of torch must give other models, but {listed(drawn)} stays the same; draw initial "
        "values from torch's global generator",
    )


def check_epoch_draw(make: Callable[[], Model], batch: Batch) -> None:
    """What ``on_epoch_start`` draws depends on its generator and the saved state alone, so that runs can be resumed.

    ``make`` gives a new model with the same initial parameters each time.

    Raises:
        AssertionError: it does not.
    """
    _check_generator(make, batch)
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
        "set it again in on_epoch_start, or keep it in a persistent buffer",
    )


def _check_generator(make: Callable[[], Model], batch: Batch) -> None:
    one, other = make(), make()
    for noise, model in enumerate((one, other)):
        with random_state(noise):
            begin_epoch(model)
    differing = changes(snapshot(one, opaque=False), snapshot(other, opaque=False))
    equal = same(*(training_loss(model, batch) for model in (one, other)))
    names = listed(differing) if differing else "" if equal else "the loss"
    require(
        not names,
        f"equal generators must give equal epochs, but {names} differs; in on_epoch_start draw from the given "
        "generator alone, not from torch's, NumPy's or Python's own",
    )
