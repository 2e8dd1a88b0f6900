"""Checks of what a model ranks by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models.base import Model
from flatrec.testing.messages import listed, require
from flatrec.testing.runs import begin_epoch, disturb, evaluated, same, training_loss, well_shaped
from flatrec.training import checkpoint as checkpoints


def check_no_stale_cache(make: Callable[[], Model], batch: Batch) -> None:
    """Evaluation shows the parameters as they are, whatever was computed before they changed.

    ``make`` gives a new model with the same settings each time. After the hooks, a training forward and a change of
    every parameter, a model must evaluate like a new one in the same epoch with the same state; and so once more after
    an evaluation.

    Raises:
        AssertionError: it does not.
    """
    model = make()
    begin_epoch(model)
    training_loss(model, batch)
    disturb(model)
    model.on_step_end()
    for before in ("a training forward", "an evaluation"):
        other = make()
        begin_epoch(other)  # what an epoch draws is not meant here, see check_round_trip
        other.load_state_dict(model.state_dict())
        require(
            _equal(evaluated(model), evaluated(other)),
            f"after {before} and a change of the parameters, evaluation must give what a new model with the same "
            "state gives, but something older shows; compute embeddings from what encode gives, and keep "
            "nothing from the call before",
        )
        disturb(model, seed=1)


def check_eval_deterministic(model: Model) -> None:
    """In evaluation mode nothing is random.

    Raises:
        AssertionError: something is.
    """
    require(
        _equal(evaluated(model, noise=1), evaluated(model, noise=2)),
        "in evaluation mode encode and user_item_embeddings must be deterministic, but two evaluations differ; "
        "pass training=self.training to dropout, and draw noise in training mode only",
    )


def check_shapes(model: Model, dataset: Dataset) -> None:
    """There is one finite embedding per user and per item, all of one width.

    Raises:
        AssertionError: they are not.
    """
    both = evaluated(model)
    shapes = [tuple(one.shape) for one in both]
    width = shapes[0][-1] if shapes[0] else 0
    require(
        well_shaped(both, dataset),
        f"embeddings must have shapes (n_users, dim) and (n_items, dim), here {(dataset.n_users, width)} and "
        f"{(dataset.n_items, width)}, but have {shapes[0]} and {shapes[1]}",
    )
    require(all(bool(one.isfinite().all()) for one in both), "embeddings must be finite, but hold NaN or infinity")


def check_embeddings(model: Model, dataset: Dataset) -> None:
    """There is one finite embedding per user and per item, all of one width, and the same ones when asked again.

    Raises:
        AssertionError: it is not so.
    """
    check_shapes(model, dataset)
    check_eval_deterministic(model)


def check_round_trip(model: Model, other: Model) -> None:
    """The state of a model, written, read and loaded into another of the same settings, gives equal scores.

    Raises:
        AssertionError: it does not, or the two had equal states to begin with.
    """
    wanted = evaluated(model)
    state, start = model.state_dict(), other.state_dict()
    sparse = [name for name, one in state.items() if one.layout != torch.strided]
    require(
        not sparse,
        f"what is saved must be dense, but {listed(sparse)} is a sparse tensor; register it with persistent=False, or "
        "take flatrec.ops.spmm.Graph",
    )
    require(not all(map(same, state.values(), start.values())), "the other model must start from other parameters")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        checkpoints.save(path, checkpoints.Checkpoint(state, {}))
        other.load_state_dict(checkpoints.load(path).tensors)
    require(
        _equal(wanted, evaluated(other)),
        "the state that is saved does not hold all that scores depend on; make it parameters or persistent buffers, "
        "and what on_epoch_start draws for training let encode leave out in evaluation",
    )


def _equal(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> bool:
    return all(same(first, second) for first, second in zip(one, other, strict=True))
