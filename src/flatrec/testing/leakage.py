"""Checks that a model leaves its data as they are, and reads the training interactions alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import ndarray
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models.base import Model
from flatrec.testing.datasets import restricted, unshared, whole_batch
from flatrec.testing.messages import NotApplicableError, listed, require
from flatrec.testing.runs import begin_epoch, descend, evaluated, random_state, same, seeded, training_loss


def check_data_kept(make: Callable[[Dataset], Model], dataset: Dataset) -> None:
    """Building a model and training it leaves the features and interactions unchanged.

    Raises:
        AssertionError: it does not.
    """
    given = unshared(dataset)
    model = make(given)
    begin_epoch(model)
    for _ in range(2):
        descend(model, whole_batch(dataset))
    before, after = (_arrays(one) for one in (dataset, given))
    changed = [name for name, values in before.items() if not np.array_equal(values, after[name])]
    require(
        not changed,
        f"a model must leave its data set as it is, but changes {listed(changed)}, and every later run on it; copy "
        "features with torch.tensor(...), since torch.from_numpy shares their memory",
    )


def check_held_out(make: Callable[[Dataset], Model], dataset: Dataset) -> None:
    """Loss and embeddings do not depend on the interactions held out for validation and test.

    ``make`` builds the model with any initial parameters.

    Raises:
        AssertionError: they do.
        NotApplicableError: they are not the same twice.
    """
    make, batch = seeded(make), whole_batch(dataset)
    training = restricted(dataset, dataset.interactions.splits == 0)
    first, second, other = (_outputs(make(one), batch) for one in (dataset, dataset, training))
    if not all(same(first[name], second[name]) for name in first):
        raise NotApplicableError("two models from one random state differ, which another check reports")
    differing = [name for name in first if not same(first[name], other[name])]
    require(
        not differing,
        f"a model must read training interactions alone, but those held out change {' and '.join(differing)}; "
        'read dataset.interactions.indices("train") or matrix("train"), not users and items, which hold all splits',
    )


def check_isolated_nodes(make: Callable[[Dataset], Model], dataset: Dataset) -> None:
    """Where a user and an item have no interaction, loss and embeddings stay finite.

    ``make`` builds the model with any initial parameters.

    Raises:
        AssertionError: they do not.
        NotApplicableError: without the two there is no training interaction.
    """
    pairs, user, item = dataset.interactions, dataset.n_users // 2, dataset.n_items // 2
    sparse = restricted(dataset, (pairs.users != user) & (pairs.items != item))
    if not sparse.interactions.count("train"):
        raise NotApplicableError("too few interactions to leave a user and an item without one")
    full, cold = (_outputs(seeded(make)(one), whole_batch(one)) for one in (dataset, sparse))
    bad = [name for name, one in cold.items() if full[name].isfinite().all() and not one.isfinite().all()]
    require(
        not bad,
        "a user and an item without a training interaction must leave everything finite, but NaN or infinity is in "
        f"{' and '.join(bad)}; where something is divided by the number of interactions, mind that it may be 0",
    )


def _outputs(model: Model, batch: Batch) -> dict[str, Tensor]:
    with random_state(0):
        begin_epoch(model)
    loss = training_loss(model, batch).detach()
    users, items = evaluated(model)
    return {"the embeddings of users": users, "the embeddings of items": items, "the loss": loss}


def _arrays(dataset: Dataset) -> dict[str, ndarray]:
    pairs = dataset.interactions
    features = {f'features["{name}"].values': one.values for name, one in dataset.features.items()}
    features |= {f'features["{name}"].present': one.present for name, one in dataset.features.items()}
    return features | {f"interactions.{name}": vars(pairs)[name] for name in ("users", "items", "splits")}
