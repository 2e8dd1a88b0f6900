"""Helen on matrix factorization, whose final embeddings are its tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.data.batches import Batch
from flatrec.models import BPR
from flatrec.strategies.contrib.helen import Helen
from flatrec.strategies.mixed import Mixed
from flatrec.testing import block_dataset
from flatrec.training.embedding_context import EmbeddingStepContext
from flatrec.training.step_context import TrainStepContext


def context_of(seed=0):
    torch.manual_seed(seed)
    data = block_dataset()
    model = BPR(data, BPR.Config(embedding_dim=4, reg_weight=0.0)).double()
    return TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.1))


def batch():
    users, positives, negatives = [0, 0, 0, 1, 2], [0, 1, 0, 0, 2], [3, 3, 3, 4, 0]
    like = block_dataset()
    assert like.n_users > 3 < like.n_items
    return Batch(torch.tensor(users), torch.tensor(positives), torch.tensor(negatives)[:, None])


def slope(nodes, n_users):
    """The gradient of BPR, interaction by interaction."""
    found, few = np.zeros_like(nodes), batch()
    for user, positive, negative in zip(
        few.users.tolist(), few.positives.tolist(), few.negatives.flatten().tolist(), strict=True
    ):
        u, p, n = nodes[user], nodes[n_users + positive], nodes[n_users + negative]
        pull = -1 / (1 + np.exp(u @ (p - n))) / len(few)
        found[user] += pull * (p - n)
        found[n_users + positive] += pull * u
        found[n_users + negative] -= pull * u
    return found


@pytest.mark.parametrize("bound", [0.0, 0.3, 0.6, 1.0])
def test_a_step_equals_the_one_worked_by_hand(bound):
    inner, rho = context_of(), 0.4
    n_users, n_items = inner.model.sizes
    nodes = inner.model.nodes.detach().numpy().copy()
    gradient = slope(nodes, n_users)
    users = np.zeros(n_users)
    users[[0, 1, 2]] = 3, 1, 1
    items = np.zeros(n_items)
    items[[0, 1, 2, 3, 4]] = 4, 1, 1, 3, 1  # item 0: three times a positive, once a negative
    eps = np.zeros_like(nodes)
    for rows, counts in ((slice(0, n_users), users), (slice(n_users, None), items)):
        radii = rho * np.maximum(counts / counts.max(), bound)
        eps[rows] = radii[:, None] * gradient[rows] / np.linalg.norm(gradient[rows])
    Helen(rho=rho, bound=bound).step(EmbeddingStepContext(inner), batch())
    want = nodes - 0.1 * slope(nodes + eps, n_users)
    assert np.abs(inner.model.nodes.detach().numpy() - want).max() < 1e-10


def test_radius_zero_is_plain_and_mixing_counts_the_first_batch():
    ends = []
    for strategy in (Mixed(Helen(rho=0.0), kappa=1.0), Mixed(Helen(rho=0.4), kappa=1.0), Helen(rho=0.4)):
        inner = context_of()
        strategy.step(EmbeddingStepContext(inner), *[batch(), batch().split(2)[0]][: strategy.batches_per_step])
        ends.append(inner.model.nodes.detach())
    plain = context_of()
    plain.update(plain.gradients(batch())[1][0])
    assert torch.equal(ends[0], plain.model.nodes)
    assert torch.equal(ends[1], ends[2])
    assert not torch.equal(ends[0], ends[1])


def test_parameters_have_no_counts_and_are_refused_in_one_line():
    with pytest.raises(ValueError, match="set training.perturb_target to embeddings") as caught:
        Helen().step(context_of(), batch())
    assert "\n" not in str(caught.value)
