"""On a device that works on its own, a step waits for it once per update; the shortcuts of the CPU change nothing."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from flatrec import optim
from flatrec.models import BPR
from flatrec.ops import param_vector, row_norms, scalars
from flatrec.ops.counts import counts
from flatrec.optim import closures
from flatrec.strategies import ON_EMBEDDINGS, STRATEGIES, Mixed, NonFiniteGradientError, SAMStrategy, base
from flatrec.strategies.finiteness import FiniteChecks
from flatrec.testing import block_dataset, whole_batch
from flatrec.training import step_context
from flatrec.training.embedding_context import EmbeddingStepContext
from flatrec.training.step_context import TrainStepContext

N_STEPS = 6


class Readings(TorchDispatchMode):
    """Counts how often a number is read of the device ``meta``, which stands for one that has to be waited for."""

    def __init__(self, *, answer=True):
        super().__init__()
        self.count, self.answer = 0, answer

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation is torch.ops.aten._local_scalar_dense.default and args[0].device.type == "meta":
            self.count += 1
            return self.answer
        return operation(*args, **(kwargs or {}))


def strategy_of(name, **settings):
    made = STRATEGIES[name.rstrip("+")](**settings)
    return Mixed(made) if name.endswith("+") else made


def trained(device, *, embeddings):
    dataset = block_dataset()
    torch.manual_seed(0)
    model = BPR(dataset, BPR.Config(embedding_dim=8)).to(device)
    context = TrainStepContext(model, torch.optim.Adam(model.parameters(), lr=0.1))
    batch = whole_batch(dataset)
    batch = batch.with_indices(*(column.to(device) for column in batch.indices))
    return model, EmbeddingStepContext(context) if embeddings else context, batch


SCALES = [{}, {"rho_scale": "relative"}, {"rho_scale": "row"}, {"rho_schedule": "inverse"}, {"control": "random"}]
CASES = [
    (name, embeddings, settings)
    for name in (*STRATEGIES, "sam+", "bsam+")
    for embeddings in ([True] if name in ON_EMBEDDINGS else [False, True])
    for settings in (SCALES if issubclass(STRATEGIES[name.rstrip("+")], SAMStrategy) else SCALES[:1])
]


@pytest.mark.parametrize(("name", "embeddings", "settings"), CASES, ids=str)
def test_a_step_waits_once_per_update(name, embeddings, settings, monkeypatch):
    monkeypatch.setattr(TrainStepContext, "autocast", lambda _: nullcontext())  # torch has none for meta
    updates = []
    update = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda *args: (updates.append(1), update(*args))[1])
    _, context, batch = trained("meta", embeddings=embeddings)
    strategy = strategy_of(name, **settings)
    with Readings() as readings:
        for _ in range(N_STEPS):
            strategy.step(context, *[batch] * strategy.batches_per_step)
    assert readings.count <= len(updates)
    assert readings.count >= N_STEPS  # what is not finite is found


@pytest.mark.parametrize("name", ["sam", "bsam+", "mg"])
def test_what_is_not_finite_updates_nothing(name, monkeypatch):
    monkeypatch.setattr(TrainStepContext, "autocast", lambda _: nullcontext())
    _, context, batch = trained("meta", embeddings=False)
    strategy = strategy_of(name)
    before = strategy.state()
    monkeypatch.setattr(torch.optim.Adam, "step", lambda *_: pytest.fail("the parameters were updated"))
    with Readings(answer=False), pytest.raises(NonFiniteGradientError):
        strategy.step(context, *[batch] * strategy.batches_per_step)
    assert strategy.state().keys() == before.keys()
    with Readings() as readings:
        context.checks.settle()
    assert readings.count == 0  # the next step does not hear of it


def test_the_optimizers_of_a_users_own_loop_wait_once():
    parameter = nn.Parameter(torch.zeros(3, device="meta"))
    optimizer = optim.BSAM(torch.optim.SGD([parameter], lr=0.1), rho=0.1, same_dropout_mask=False)

    def closure():
        optimizer.zero_grad()
        loss = (parameter - 1).square().sum()
        loss.backward()
        return loss

    with Readings() as readings:
        optimizer.step(closure)
    assert readings.count == 1


@pytest.mark.parametrize(("name", "embeddings", "settings"), CASES, ids=str)
def test_a_scalar_as_a_tensor_gives_the_same_step(name, embeddings, settings, monkeypatch):
    """What other devices compute, computed on the CPU."""

    def parameters():
        model, context, batch = trained("cpu", embeddings=embeddings)
        strategy = strategy_of(name, **settings)
        for _ in range(N_STEPS):
            strategy.step(context, *[batch] * strategy.batches_per_step)
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    expected = parameters()
    for module in (scalars, param_vector, base, step_context, closures):
        monkeypatch.setattr(module, "at_hand", torch.as_tensor)
    monkeypatch.setattr(row_norms, "_directed", row_norms.directed_at_once)
    monkeypatch.setattr(row_norms, "_quickly_directed", row_norms.directed_at_once)
    torch.testing.assert_close(parameters(), expected, rtol=1e-4, atol=1e-6)


def test_a_direction_of_zeros_is_no_shift(monkeypatch):
    monkeypatch.setattr(base, "at_hand", torch.as_tensor)
    shift = base.shift_by([torch.zeros(2)], 0.1, torch.tensor(0.0))
    assert shift.scale == 0


def test_a_shift_that_is_too_large_is_not_finite(monkeypatch):
    monkeypatch.setattr(base, "at_hand", torch.as_tensor)
    monkeypatch.setattr(step_context, "at_hand", torch.as_tensor)
    _, context, _ = trained("cpu", embeddings=False)
    shift = base.shift_by(context.params, 1e30, torch.tensor(1e-30))
    with pytest.raises(NonFiniteGradientError), context.perturbed(shift.direction, shift.scale):
        pytest.fail("the point exists")


def test_rows_are_brought_to_their_lengths_at_once():
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-30, 0.0], [1e30, 1e30]])
    lengths = torch.tensor([[5.0], [1.0], [2.0], [0.5]])
    torch.testing.assert_close(row_norms.directed_at_once(rows, lengths), row_norms._directed(rows, lengths))


def test_counts_do_not_ask_for_the_largest_index():
    indices = torch.tensor([1, 4, 1, 0])
    assert counts(indices, 6).tolist() == [1, 2, 0, 0, 1, 0]
    with Readings() as readings:
        assert counts(indices.to("meta"), 6).shape == (6,)
    assert readings.count == 0


def test_a_failed_check_is_said_once():
    checks = FiniteChecks("not finite")
    with pytest.raises(NonFiniteGradientError, match="not finite"):
        checks.require([torch.tensor(torch.nan)])
    checks.require([torch.tensor(1.0)], [[torch.ones(2)]])
    with pytest.raises(NonFiniteGradientError):
        checks.require([], [[torch.full((2,), 1e30)]])  # its square overflows
