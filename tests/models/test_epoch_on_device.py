"""The beginning of an epoch and its steps on a device that draws its own graphs, which is not waited for."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from flatrec.graphs import cooccurrence, epoch_graph
from flatrec.testing import block_dataset, whole_batch
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding
from tests.models.settings import NEEDS_GROUPS, SETTINGS, make
from tests.strategies.test_waiting import Readings, strategy_of

# Its denoisers train on rows that the CPU makes dense.
ON_THE_CPU = {"diffmm"}
WAITS = {"layergcn": 1}  # in an epoch, to know its number, which is saved with the model
N_EPOCHS = 2


@pytest.mark.parametrize("name", sorted(set(SETTINGS) - NEEDS_GROUPS - ON_THE_CPU))
def test_an_epoch_begins_and_steps_without_waiting(name, monkeypatch):
    for module in (cooccurrence, epoch_graph):
        monkeypatch.setattr(module, "drawing", lambda device: device)
        monkeypatch.setattr(module, "generator_on", lambda _, generator: generator)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # there is none for meta
    data = block_dataset()
    model = make(name, data).to("meta").train()
    batch = whole_batch(data)
    batch = batch.with_indices(*(column.to("meta") for column in batch.indices))
    with Readings() as readings:
        for epoch in range(1, N_EPOCHS + 1):
            model.on_epoch_start(seeding.generator(0, "model", epoch))
            for _ in range(2):
                loss = model.loss(model.encode(), batch)
                torch.autograd.grad(loss, [one for one in model.parameters() if one.requires_grad], allow_unused=True)
                model.on_step_end()
    assert readings.count == N_EPOCHS * WAITS.get(name, 0)


@pytest.mark.parametrize("strategy", ["plain", "bsam+"])
@pytest.mark.parametrize("name", ["lattice", "lgmrec", "da-mrs", "freedom", "dualgnn"])
def test_a_step_of_a_strategy_waits_once(name, strategy, monkeypatch):
    monkeypatch.setattr(TrainStepContext, "autocast", lambda _: nullcontext())  # there is none for meta
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    data = block_dataset()
    model = make(name, data).train()
    model.on_epoch_start(seeding.generator(0, "model", 1))
    context = TrainStepContext(model.to("meta"), torch.optim.Adam(model.parameters(), lr=0.1))
    batch = whole_batch(data)
    batch = batch.with_indices(*(column.to("meta") for column in batch.indices))
    made = strategy_of(strategy)
    for _ in range(3):
        with Readings() as readings:
            made.step(context, *[batch] * made.batches_per_step)
            model.on_step_end()
        assert readings.count == 1


@pytest.mark.parametrize("raw_fraction", [0.0, 0.3, 1.0])
def test_lattice_freezes_the_same_graph_on_a_device(raw_fraction):
    model = make("lattice", block_dataset(), raw_fraction=raw_fraction)
    with torch.no_grad():
        expected, found = model._frozen(), model._frozen_on_device()
    np.testing.assert_allclose(found.coo().toarray(), expected.coo().toarray(), rtol=1e-5, atol=1e-7)
    vectors = torch.randn(expected.shape[1], 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found(vectors), expected(vectors))
