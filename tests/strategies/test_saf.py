"""SAF and MESA: the trajectory loss beside torch's own derivative, and what each takes for the past."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from flatrec.config import Training
from flatrec.models import LightGCN
from flatrec.strategies import MESA, SAF
from flatrec.strategies.batch_rows import BatchRows
from flatrec.strategies.contrib.saf import plus_divergence_gradient
from flatrec.strategies.contrib.trajectory import Tables
from flatrec.testing import block_dataset, whole_batch
from flatrec.training.embedding_context import EmbeddingStepContext
from flatrec.training.step_context import TrainStepContext
from tests.strategies.problems import N_BATCHES, Factors, HandStrategy, batch, context_of, divergence, flat

LR, STEPS = 0.3, 2  # steps of an epoch
ROWS = BatchRows(
    torch.tensor([0, 1, 1, 2, 1]),
    torch.tensor([3, 4, 5, 4, 4]),
    torch.tensor([[6, 5, 6], [3, 6, 5], [4, 4, 3], [5, 6, 3], [3, 6, 5]]),
)


def trained(strategy, numbers, model=None):
    model = model or Factors()
    context = context_of(model, torch.optim.SGD(model.parameters(), lr=LR))
    for number in numbers:
        context.progress = number / STEPS
        strategy.step(context, batch(number % N_BATCHES))
    return model


@pytest.mark.parametrize("temperature", [0.3, 5.0])
def test_the_gradient_of_the_divergence_is_that_of_torch(temperature):
    generator = torch.Generator().manual_seed(0)
    table, before, own = (torch.randn(7, 3, generator=generator, dtype=torch.float64) for _ in range(3))
    kept, leaf = own.clone(), table.clone().requires_grad_()
    columns = torch.cat([ROWS.positives[:, None], ROWS.negatives], dim=1)
    now, past = (
        F.log_softmax(torch.einsum("bd,bnd->bn", one[ROWS.users], one[columns]) / temperature, dim=1)
        for one in (leaf, before)
    )
    loss = F.kl_div(now, past, reduction="batchmean", log_target=True) * temperature**2
    (want,) = torch.autograd.grad(0.7 * loss, leaf)
    found = plus_divergence_gradient(own, 0.7, temperature, (Tables(table, before), ROWS))
    assert torch.allclose(found, own + want, atol=1e-12, rtol=0)
    assert torch.equal(own, kept)


def test_far_above_the_scores_the_temperature_has_no_effect():
    generator = torch.Generator().manual_seed(0)
    table, before = (torch.randn(7, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    one, other = (
        plus_divergence_gradient(torch.zeros_like(table), 1.0, temperature, (Tables(table, before), ROWS))
        for temperature in (1e3, 1e4)
    )
    assert torch.allclose(one, other, rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("window", [1, 2])
def test_the_past_of_saf_is_that_of_the_beginning_of_the_epoch(window):
    settings, model = {"lam": 20.0, "window": window, "temperature": 2.0}, Factors()
    hand, theta, begun = HandStrategy("saf", settings), flat(model), []
    for number in range(8):
        if number % STEPS == 0:
            begun.append(theta.copy())
        hand.number, slope = number, model.flat_gradient(theta, number)
        if number // STEPS >= window:
            slope = slope + divergence(hand, theta, begun[number // STEPS - window], 20.0)
        theta = theta - LR * slope
    strategy = SAF(**settings)
    assert np.abs(flat(trained(strategy, range(8))) - theta).max() < 1e-10
    assert len(strategy.past) == window + 1
    assert not np.allclose(flat(trained(SAF(lam=0.0), range(8))), theta, atol=1e-3)


def test_mesa_keeps_one_table_that_is_no_view_of_the_parameters():
    strategy, model = MESA(decay=0.9), Factors()
    begun = model.nodes.detach().clone()
    trained(strategy, range(1), model)
    assert torch.equal(strategy.average[0], begun)
    assert not torch.equal(model.nodes, begun)
    before = model.nodes.detach().clone()
    trained(strategy, range(1, 2), model)
    assert torch.allclose(strategy.average[0], 0.9 * begun + 0.1 * before, atol=1e-12)
    assert list(strategy.state()) == ["average.0"]


def test_where_encode_is_linear_the_average_is_what_averaged_weights_encode():
    dataset = block_dataset()
    model = LightGCN(dataset, LightGCN.Config(embedding_dim=4)).double()
    model.on_epoch_start(torch.Generator().manual_seed(0))
    inner = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=5.0))
    strategy, weights = MESA(decay=0.6), None
    context = EmbeddingStepContext(inner)
    for _ in range(4):
        now = model.nodes.detach().clone()
        weights = now if weights is None else 0.6 * weights + 0.4 * now
        strategy.step(context, whole_batch(dataset))
    model.nodes.data = weights
    assert torch.allclose(strategy.average[0], model.encode().node_embeddings, atol=1e-10)
    assert not torch.allclose(strategy.average[0], now, atol=1e-3)


@pytest.mark.parametrize(("kind", "settings"), [(SAF, {"window": 1}), (MESA, {"decay": 0.5})])
def test_until_its_epoch_training_is_plain_and_the_past_is_kept(kind, settings):
    strategy = kind(lam=20.0, start_epoch=2.0, **settings)
    model = trained(strategy, range(2 * STEPS))
    plain = trained(SAF(lam=0.0), range(2 * STEPS))
    assert np.array_equal(flat(model), flat(plain))
    trained(strategy, range(2 * STEPS, 2 * STEPS + 1), model)  # its first step
    trained(SAF(lam=0.0), range(2 * STEPS, 2 * STEPS + 1), plain)
    assert not np.allclose(flat(model), flat(plain), atol=1e-3)


def test_defaults_are_those_of_the_release_and_the_decay_that_of_training():
    saf, mesa = SAF(), MESA()
    assert (saf.lam, saf.temperature, saf.window, saf.start_epoch) == (0.3, 5.0, 3, 0.0)
    assert (mesa.lam, mesa.temperature, mesa.decay, mesa.start_epoch) == (0.8, 5.0, Training().average_decay, 0.0)


@pytest.mark.parametrize("kind", [SAF, MESA])
def test_parameters_are_refused_in_one_line(kind):
    model = Factors()
    context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=LR))
    with pytest.raises(
        ValueError, match=f"{kind.__name__} needs the users and items .* training.perturb_target"
    ) as caught:
        kind().step(context, batch(0))
    assert "\n" not in str(caught.value)
