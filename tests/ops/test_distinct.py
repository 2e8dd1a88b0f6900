"""The different indices of a batch, as other devices have them, equal those of the CPU."""

from __future__ import annotations

import pytest
import torch

from flatrec.models import da_mrs
from flatrec.ops import distinct as module
from flatrec.ops.distinct import distinct, weighted
from flatrec.testing import block_dataset, whole_batch
from tests.models.settings import make


@pytest.mark.parametrize("indices", [[3], [2, 2], [5, 1, 5, 0, 1, 5]])
def test_every_index_counts_once(indices):
    given = torch.tensor(indices)
    once, repeated = distinct(given), weighted(given)
    assert repeated.weights is not None
    assert len(repeated.indices) == len(given)
    assert repeated.indices[repeated.weights > 0].tolist() == once.indices.tolist() == sorted(set(indices))
    values = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    for table in (values, values[0]):
        torch.testing.assert_close(repeated.mean(table[..., repeated.indices]), once.mean(table[..., once.indices]))


def test_the_loss_of_da_mrs_is_the_same_with_repeated_indices(monkeypatch):
    data = block_dataset()
    model = make("da-mrs", data)
    batch = whole_batch(data)

    def loss_and_gradient():
        loss = model.loss(model.encode(), batch)
        return loss, *torch.autograd.grad(loss, list(model.parameters()))

    expected = loss_and_gradient()
    assert len(batch.users.unique()) < len(batch.users)
    monkeypatch.setattr(da_mrs, "distinct", module.weighted)
    torch.testing.assert_close(loss_and_gradient(), expected)


def test_the_loss_of_lgmrec_is_the_same_with_repeated_indices(monkeypatch):
    data = block_dataset()
    model = make("lgmrec", data).eval()
    batch = whole_batch(data)
    expected = model.loss(model.encode(), batch)
    monkeypatch.setattr("flatrec.models.lgmrec._counted", lambda indices: (indices, None))
    torch.testing.assert_close(model.loss(model.encode(), batch), expected)
