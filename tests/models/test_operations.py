"""How many operations a step gives a device, and that it waits for none of their results, counted on ``meta``."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from flatrec.ops import bag_sums, logsumexp, sddmm
from flatrec.testing import block_dataset, whole_batch
from tests.models.settings import NEEDS_GROUPS, SETTINGS, make

# Operations that compute nothing: views, and memory that is not filled yet.
FREE = {
    "alias", "as_strided", "detach", "empty_like", "expand", "new_empty", "permute", "promote_types", "select", "slice",
    "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind", "_unsafe_view", "unsqueeze", "view",
}  # fmt: skip
# What a training step may launch, encode, loss and backward; of the CPU's tiles alone there were 1,519 in SLMRec and
# 2,240 in GRCN at the size of Baby. Rows are cut into pieces, as long ones are.
MOST = {"bpr": 60, "lightgcn": 80, "freedom": 100, "slmrec": 260, "grcn": 400, "mmgcn": 300}


class Operations(TorchDispatchMode):
    """Counts operations."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        assert operation is not torch.ops.aten._local_scalar_dense.default, "the processor waits for a number"
        self.count += operation.overloadpacket.__name__ not in FREE
        return operation(*args, **(kwargs or {}))


def operations_of(name, monkeypatch):
    monkeypatch.setattr(bag_sums, "PIECE_ENTRIES", 2)  # as if all rows were long
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # there is none for meta
    dataset = block_dataset()
    batch = whole_batch(dataset)
    model = make(name, dataset).train()
    model.on_epoch_start(torch.Generator().manual_seed(0))
    model = model.to("meta")
    with Operations() as operations:
        loss = model.loss(model.encode(), batch.with_indices(*(column.to("meta") for column in batch.indices)))
        torch.autograd.grad(loss, [one for one in model.parameters() if one.requires_grad], allow_unused=True)
    return operations.count


@pytest.mark.parametrize("name", sorted(set(SETTINGS) - NEEDS_GROUPS))
def test_a_step_waits_for_no_number_and_has_few_operations(name, monkeypatch):
    assert 0 < operations_of(name, monkeypatch) <= MOST.get(name, 1000)


def test_tiles_are_for_the_cpu(monkeypatch):
    """Elsewhere products are made at once, as long as they fit."""
    left = torch.empty(2_000, 4, device="meta")
    assert logsumexp._tile(left) == (2_000, logsumexp.HELD // 2_000)
    assert logsumexp._tile(torch.empty(10**6, 4, device="meta")) == (2**16, 2_048)
    assert logsumexp._tile(torch.empty(2_000, 4)) == (128, 2_048)
    monkeypatch.setattr(sddmm, "BLOCK_ENTRIES", 1)
    edges = sddmm.Edges(np.arange(100) % 7, np.arange(100) % 5, (7, 5))

    def count(device):
        ends = torch.ones(7, 3, device=device), torch.ones(5, 3, device=device)
        with Operations() as operations:
            edges.to(device).sddmm(*ends)
        return operations.count

    assert count("cpu") > 300
    assert count("meta") < 15
