"""Weights with an optimizer of their own, in a module and in a run that is killed and resumed."""

import copy

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.config import Training
from flatrec.graphs.interaction import kept_entries, training_self_loop_graph
from flatrec.models.auxiliary import AuxiliaryWeights
from flatrec.models.diffusion import Denoiser, NoiseSchedule, denoised, encoded_steps
from flatrec.sampling.sampler import Sampler
from flatrec.strategies import BSAM, Plain
from flatrec.training import Trainer
from flatrec.training.checkpoint import load
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding
from tests.models.settings import make
from tests.training.kills import KillAt, Killed

DATA = testing.block_dataset(blocks=2, users=6, items=6)


def test_the_steps_are_those_of_adam():
    torch.manual_seed(0)
    initial = {"a": torch.randn(3, 2), "b": torch.randn(4)}
    ours = AuxiliaryWeights({name: one.clone() for name, one in initial.items()}, lr=0.03)
    theirs = {name: torch.nn.Parameter(one.clone()) for name, one in initial.items()}
    optimizer = torch.optim.Adam(theirs.values(), lr=0.03)
    for number in range(5):

        def loss(now, number=number):
            return (now["a"].pow(4).sum() + (now["b"] * (number - 2)).sin().sum()) * 10.0**-number

        optimizer.zero_grad()
        value = loss(theirs)
        value.backward()
        optimizer.step()
        assert ours.step(loss).item() == pytest.approx(value.item(), rel=1e-5)
        for name, one in ours().items():
            torch.testing.assert_close(one, theirs[name].detach(), rtol=1e-5, atol=1e-6)
    assert not list(ours.parameters())


def test_a_step_of_a_copy_or_of_a_loaded_state_is_the_same_bit_for_bit():
    one = AuxiliaryWeights({"a": torch.linspace(-1, 1, 5)}, lr=0.1)
    one.step(lambda now: now["a"].square().sum())
    other = AuxiliaryWeights({"a": torch.zeros(5)}, lr=0.1)
    other.load_state_dict(one.state_dict())
    third = copy.deepcopy(one)
    for weights in (one, other, third):
        weights.step(lambda now: now["a"].pow(3).sum())
    assert torch.equal(one()["a"], other()["a"])
    assert torch.equal(one()["a"], third()["a"])


def test_a_loss_that_is_not_finite_stops_the_run():
    weights = AuxiliaryWeights({"a": torch.ones(2)}, lr=0.1)
    with pytest.raises(ValueError, match=r"the loss of what a model trains beside its own is inf; lower"):
        weights.step(lambda now: now["a"].sum() / 0)
    assert torch.equal(weights()["a"], torch.ones(2))


def trainer(folder, strategy, callbacks=()):
    folder.mkdir(exist_ok=True)
    model = make("diffmm", DATA)
    context = TrainStepContext(model, torch.optim.Adam(model.parameters(), lr=0.01))
    settings = Training(epochs=4, batch_size=16, select="last", loggers=())
    sampler = Sampler(DATA.interactions, 16)
    return Trainer(context, strategy, sampler, None, settings=settings, seed=3, folder=folder, callbacks=callbacks)


@pytest.mark.parametrize("strategy", [Plain, BSAM])
def test_a_run_that_was_killed_goes_on_bit_for_bit(strategy, tmp_path):
    whole = trainer(tmp_path / "whole", strategy())
    whole.run()
    killed = trainer(tmp_path / "killed", strategy(), [KillAt(epoch=2)])
    with pytest.raises(Killed):
        killed.run()
    resumed = trainer(tmp_path / "killed", strategy())
    resumed.resume()
    assert resumed.progress.epoch == 2
    resumed.run()
    first, second = (load(tmp_path / name / "checkpoint.safetensors").tensors for name in ("whole", "killed"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    state = "model.rebuilt.denoisers.0.weights."
    assert first[f"{state}steps"] == 4  # one batch of users an epoch
    assert {f"{state}{kind}.down0_rows" for kind in ("values", "means", "squares")} <= first.keys()


def test_strategies_reach_no_denoiser_and_denoisers_no_parameter():
    model = make("diffmm", DATA)
    before = {name: one.clone() for name, one in model.rebuilt.denoisers.state_dict().items()}
    parameters = [one.detach().clone() for one in model.parameters()]
    model.on_epoch_start(seeding.generator(0, "model", 1))
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), parameters, strict=True))
    assert not any(torch.equal(one, before[name]) for name, one in model.rebuilt.denoisers.state_dict().items())
    after = {name: one.clone() for name, one in model.rebuilt.denoisers.state_dict().items()}
    context = TrainStepContext(model, torch.optim.Adam(model.parameters()))
    BSAM().step(context, testing.whole_batch(DATA))
    assert all(torch.equal(one, after[name]) for name, one in model.rebuilt.denoisers.state_dict().items())
    assert not {name for name, _ in model.named_parameters()} & {f"rebuilt.denoisers.{name}" for name in after}


def test_denoisers_learn_and_their_graphs_find_the_block():
    model = make("diffmm", DATA, denoiser_lr=0.03, denoiser_dropout=0.0, n_rebuilt=2)
    assert not (model.rebuilt.rebuilt >= 0).any()
    for epoch in range(1, 60):
        model.on_epoch_start(seeding.generator(0, "model", epoch))
    blocks = model.rebuilt.rebuilt // 6 == torch.arange(12)[None, :, None] // 6
    assert blocks.float().mean() > 0.9


def test_denoisers_of_more_layers_of_odd_steps_and_of_unit_rows():
    torch.manual_seed(0)
    denoiser = Denoiser(7, (5, 4), 3, unit_rows=True, lr=1e-3)
    weights = {name: one.double().numpy() for name, one in denoiser.weights().items()}
    rows, steps = torch.rand(2, 7), torch.tensor([0, 3])
    step = np.array([[1.0, 0, 0], [np.cos(3), np.sin(3), 0]])
    np.testing.assert_allclose(encoded_steps(steps, 3).numpy(), step, atol=1e-6)
    unit = rows.double().numpy() / np.linalg.norm(rows.double().numpy(), axis=1, keepdims=True)
    step = step @ weights["time_weight"].T + weights["time_bias"]
    hidden = np.tanh(unit @ weights["down0_rows"].T + step @ weights["down0_step"].T + weights["down0_bias"])
    hidden = np.tanh(hidden @ weights["down1_weight"].T + weights["down1_bias"])
    hidden = np.tanh(hidden @ weights["up0_weight"].T + weights["up0_bias"])
    expected = hidden @ weights["up1_weight"].T + weights["up1_bias"]
    assert [weights[f"{name}_weight"].shape for name in ("down1", "up0", "up1")] == [(5, 4), (4, 5), (7, 4)]
    np.testing.assert_allclose(denoiser(rows, steps).numpy(), expected, atol=1e-6)
    schedule = NoiseSchedule(1, scale=0.1, lowest=1e-4, highest=0.02)
    assert denoised(denoiser, schedule, rows).shape == (2, 7)


def test_dropped_entries_are_those_of_one_direction_and_the_others_are_scaled():
    graph = training_self_loop_graph(DATA.interactions)
    thin = kept_entries(graph, 0.5, torch.Generator().manual_seed(1)).coo().toarray()
    full = graph.coo().toarray()
    kept = thin != 0
    np.testing.assert_allclose(thin[kept], 2 * full[kept], rtol=1e-6)
    assert 0.3 < kept.sum() / (full != 0).sum() < 0.7
    assert (kept != kept.T).any()
    assert kept_entries(graph, 0.0, torch.Generator()) is graph


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_rebuilt": 13}, r"n_rebuilt must lie in \[1, 12\], the number of items, but is 13"),
        ({"sampling_steps": 6}, "sampling_steps must be at most n_steps, 5, but is 6"),
        ({"noise_min": 0.1}, "noise_min must be at most noise_max, 0.02, but is 0.1"),
        ({"hidden_dims": ()}, "hidden_dims must have at least one width"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make("diffmm", DATA, **options)
