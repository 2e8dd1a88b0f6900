"""Other devices than the CPU compute otherwise, and the same: every model's steps by the operations of a GPU."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch.nn import functional as F

from flatrec.ops import bag_sums
from flatrec.testing import block_dataset, whole_batch
from flatrec.training.step_context import TrainStepContext
from tests.models.device_face import META, Face, There, numbers, to_meta
from tests.models.settings import NEEDS_GROUPS, SETTINGS, make
from tests.strategies.test_waiting import strategy_of

N_STEPS = 2


def steps(name, strategy, face):
    """The losses of some steps, the parameters after them, and the waits of each."""
    data = block_dataset()
    torch.manual_seed(0)
    model = make(name, data).train()
    model.on_epoch_start(torch.Generator().manual_seed(0))
    batch = whole_batch(data)
    if face is not None:
        model = to_meta(model)
        batch = batch.with_indices(*(There(column) for column in batch.indices))
    torch.manual_seed(1)
    losses, waits = [], []
    with face or nullcontext():
        context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.1))
        made = strategy_of(strategy)
        for _ in range(N_STEPS):
            before = len(face.waits) if face is not None else 0
            losses.append(made.step(context, *[batch] * made.batches_per_step))
            model.on_step_end()
            waits.append(face.waits[before:] if face is not None else [])
    return numbers(losses), numbers(model.parameters()), waits


@pytest.mark.parametrize("strategy", ["plain", "bsam+"])
@pytest.mark.parametrize("name", sorted(set(SETTINGS) - NEEDS_GROUPS))
def test_the_operations_of_a_gpu_train_as_those_of_the_cpu(name, strategy, monkeypatch):
    monkeypatch.setattr(bag_sums, "PIECE_ENTRIES", 2)  # as if all rows were long
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # there is none for meta
    losses, parameters, _ = steps(name, strategy, None)
    found, trained, waits = steps(name, strategy, Face())
    torch.testing.assert_close(found, losses, rtol=1e-5, atol=0)
    torch.testing.assert_close(trained, parameters, rtol=1e-4, atol=1e-5)
    assert waits == [["_local_scalar_dense"]] * N_STEPS  # whether the step is finite


class TestFace:
    """What the face itself does."""

    def test_it_computes(self):
        with Face():
            there = torch.arange(6.0, device=META).view(2, 3)
            assert there.device == META
            assert float((there @ there.T).sum()) == float((torch.arange(6.0).view(2, 3).sum(0) ** 2).sum())

    def test_it_refuses_tensors_of_two_devices(self):
        with Face():
            there = torch.ones(3, 2, device=META)
            with pytest.raises(AssertionError, match="of two devices"):
                there + torch.ones(3, 2)
            with pytest.raises(AssertionError, match="of two devices"):
                F.embedding(torch.tensor([0]), there)

    def test_it_counts_waits(self):
        with Face() as face:
            there = torch.ones(3, 2, device=META)
            assert (there * 2).sum().isfinite().device == META
            assert face.waits == []
            _ = there[torch.tensor([0])], there.cpu(), there[there[:, 0] > 0], float(there[0, 0])
            assert face.waits == ["index", "_to_copy", "index", "_local_scalar_dense"]
