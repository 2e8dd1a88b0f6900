"""Radius, schedule, interval, trace and state of the strategies that perturb."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from flatrec.components import build_strategy
from flatrec.config import Component
from flatrec.models.base import Encoded, Model
from flatrec.strategies import BSAM, SAM, Learner, Mixed, Plain
from tests.strategies.problems import Network, Quadratic, batch, flat


def trained(name, settings, numbers, *, progress=0.0, model=None):
    """Parameters and strategy after one step a number, two batches each where mixed; SGD."""
    model = model or Quadratic()
    learner = Learner(model, torch.optim.SGD(model.parameters(), lr=0.05))
    learner.progress = progress
    strategy = build_strategy(Component(name, settings))
    for number in numbers:
        strategy.step(learner, *map(batch, range(number, number + strategy.batches_per_step)))
    return flat(model), strategy


def same(one, other):
    return (one == other).all()


@pytest.mark.parametrize("name", ["sam", "bsam"])
def test_radius_zero_is_plain_training(name):
    assert same(trained(name, {"rho": 0.0}, range(4))[0], trained("plain", {}, range(4))[0])


@pytest.mark.parametrize("name", ["sam", "bsam"])
def test_mixing_with_weight_one_is_the_inner_strategy_and_with_zero_plain_training_on_the_second_batch(name):
    assert same(trained(f"{name}+", {"kappa": 1.0}, range(4))[0], trained(name, {}, range(4))[0])
    assert same(trained(f"{name}+", {"kappa": 0.0}, range(4))[0], trained("plain", {}, range(1, 5))[0])


def test_interval_perturbs_every_kth_step_only():
    every_second, _ = trained("sam", {"interval": 2}, range(2))
    model = Quadratic()
    learner = Learner(model, torch.optim.SGD(model.parameters(), lr=0.05))
    Plain().step(learner, batch(0))
    SAM().step(learner, batch(1))
    assert same(every_second, flat(model))


def test_interval_leaves_the_mean_gradient_up_to_date():
    _, strategy = trained("bsam", {"interval": 3}, range(2))
    model = Quadratic()
    first = model.flat_gradient(flat(model), 0)
    second = model.flat_gradient(trained("plain", {}, [0])[0], 1)
    mean = 0.4 * second + 0.6 * 0.4 * first
    assert torch.cat([part.flatten() for part in strategy.mean]).numpy() == pytest.approx(mean, abs=1e-12)


def test_inverse_schedule_divides_the_radius_by_the_step():
    scheduled, _ = trained("sam", {"rho": 0.4, "rho_schedule": "inverse"}, range(2))
    model = Quadratic()
    learner = Learner(model, torch.optim.SGD(model.parameters(), lr=0.05))
    SAM(rho=0.4).step(learner, batch(0))
    SAM(rho=0.2).step(learner, batch(1))
    assert same(scheduled, flat(model))


def test_relative_radius_is_measured_in_the_norm_of_the_parameters():
    size = (flat(Quadratic()) ** 2).sum() ** 0.5
    relative, _ = trained("sam", {"rho": 0.01, "rho_scale": "relative"}, [0])
    assert relative == pytest.approx(trained("sam", {"rho": 0.01 * size}, [0])[0], abs=1e-14)


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (1.0, 0.25), (3.0, 0.75), (4.0, 1.0), (9.0, 1.0)])
def test_warm_up_grows_the_radius_over_epochs(progress, share):
    warm, _ = trained("sam", {"rho": 0.4, "rho_warmup": 4.0}, [0], progress=progress)
    assert same(warm, trained("sam", {"rho": 0.4 * share}, [0])[0])


def test_a_direction_of_zero_gives_the_plain_gradient():
    # In the first step m = (1 - lambda) g, so a constant distance of 1 / (1 - lambda) cancels the direction.
    first, strategy = trained("bsam", {"lam": 0.5, "distance": 2.0}, [0])
    assert same(first, trained("plain", {}, [0])[0])
    assert strategy.take_trace()["cos(eps, g1)"] == 0


def test_trace_holds_means_since_the_last_call():
    _, strategy = trained("bsam+", {"distance": "cosine"}, range(3))
    trace = strategy.take_trace()
    assert set(trace) == {"distance", "cos(g1, m)", "cos(eps, g1)"}
    assert trace["distance"] == pytest.approx(trace["cos(g1, m)"])
    assert strategy.take_trace() == {}


def test_trace_of_sam_says_that_it_climbs():
    assert trained("sam", {}, range(3))[1].take_trace() == {"cos(eps, g1)": pytest.approx(1.0)}


@pytest.mark.parametrize("name", ["plain", "plain+", "sam", "sam+", "bsam", "bsam+"])
def test_state_put_into_a_fresh_strategy_continues_bit_for_bit(name):
    settings = {"rho_schedule": "inverse"} if "sam" in name else {}
    model = Network()
    whole, _ = trained(name, settings, range(6), model=model)
    model = Network()
    _, before = trained(name, settings, range(3), model=model)
    learner = Learner(model, torch.optim.SGD(model.parameters(), lr=0.05))
    after = build_strategy(Component(name, settings))
    after.load_state(before.state())
    for number in range(3, 6):
        after.step(learner, *map(batch, range(number, number + after.batches_per_step)))
    assert same(flat(model), whole)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rho": -0.1}, "rho"),
        ({"rho": float("nan")}, "rho"),
        ({"rho": float("inf")}, "rho"),
        ({"interval": 0}, "interval"),
        ({"rho_warmup": -1.0}, "rho_warmup"),
        ({"lam": 1.0}, "lam"),
        ({"lam": -0.1}, "lam"),
        ({"kappa": 1.1}, "kappa"),
        ({"distance": "chebyshev"}, "distance"),
        ({"rho_schedule": "linear"}, "rho_schedule"),
        ({"pairing": "thirds"}, "pairing"),
        ({"rhoo": 0.1}, "did you mean rho"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        build_strategy(Component("bsam+", settings))


def test_mixed_encodes_once_for_both_gradients_at_the_current_parameters():
    class Counting(Quadratic):
        calls = 0

        def encode(self):
            Counting.calls += 1
            return super().encode()

    trained("bsam+", {}, [0], model=Counting())
    assert Counting.calls == 2  # once at Theta for both batches, once at Theta + eps


class Noisy(Model):
    """A loss that is nothing but noise times the parameter."""

    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.ones(1, dtype=torch.float64))

    def encode(self):
        return Encoded(self.theta[:, None])

    def loss(self, encoded, batch):  # noqa: ARG002
        return (encoded.nodes * torch.rand((), dtype=torch.float64)).sum() * encoded.nodes.sum()

    def representations(self, encoded):
        return encoded.nodes, encoded.nodes


def gradients_of_a_step(same_noise):
    model = Noisy()
    learner = Learner(model, torch.optim.SGD(model.parameters(), lr=0.0), same_noise=same_noise)
    seen = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(2):
            seen += [learner.gradients(batch(0))[1][0][0].item() for _ in range(2)]
            learner.update([torch.zeros(1, dtype=torch.float64)])
    return seen


def test_passes_of_one_step_see_the_same_noise_and_steps_do_not():
    first, again, second, second_again = gradients_of_a_step(same_noise=True)
    assert first == again
    assert second == second_again
    assert first != second


def test_fresh_noise_a_pass_can_be_asked_for():
    assert len(set(gradients_of_a_step(same_noise=False))) == 4


def test_mixed_around_any_strategy_reports_the_loss_of_its_first_batch():
    model = Quadratic()
    learner = Learner(model, torch.optim.SGD(model.parameters(), lr=0.05))
    (want,), _ = learner.gradients(batch(0))
    learner.end_step()
    assert Mixed(BSAM()).step(learner, batch(0), batch(1)) == want
