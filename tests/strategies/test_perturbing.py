"""Radius, schedule, interval, diagnostics and state of the strategies that perturb."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from flatrec.config import Component
from flatrec.models.base import Encoded, Model
from flatrec.ops.param_vector import norm
from flatrec.registry.instantiate import build_strategy, strategy_names
from flatrec.strategies import BSAM, MIXABLE, ON_EMBEDDINGS, SAM, STRATEGIES, Mixed, Plain, Point, SAMStrategy
from flatrec.training.step_context import TrainStepContext
from flatrec.utils.checked_settings import checked_settings
from tests.strategies.problems import SHORT_MEMORY, TRAJECTORY, Quadratic, batch, context_of, flat, problems_of


def trained(name, settings, numbers, *, progress=0.0, model=None):
    """Parameters and strategy after one step a number, two batches each where mixed; SGD."""
    model = model or problems_of(name)[0]()
    context = context_of(model, torch.optim.SGD(model.parameters(), lr=0.05))
    strategy = build_strategy(Component(name, settings))
    for number in numbers:
        begins = name.removesuffix("+") in TRAJECTORY  # each step an epoch
        context.progress = progress + number if begins else progress
        strategy.step(context, *map(batch, range(number, number + strategy.batches_per_step)))
    return flat(model), strategy


def same(one, other):
    return (one == other).all()


WITH_RADIUS = [name for name in MIXABLE if name not in ("plain", *TRAJECTORY)]


def plainly(name, numbers):
    """Parameters after plain steps on the problem of another strategy."""
    return trained("plain", {}, numbers, model=problems_of(name)[0]())[0]


@pytest.mark.parametrize("name", WITH_RADIUS)
def test_radius_zero_is_plain_training(name):
    assert same(trained(name, {"rho": 0.0}, range(4))[0], plainly(name, range(4)))


@pytest.mark.parametrize(
    "settings", [{"lam": 0.0, "window": 1}, {"lam": 9.0, "window": 4}, {"lam": 9.0, "start_epoch": 4.0}]
)
@pytest.mark.parametrize("name", ["sharpcf", "saf"])
def test_weight_zero_or_no_past_is_plain_training(name, settings):
    assert same(trained(name, settings, range(4))[0], plainly(name, range(4)))
    assert not same(trained(name, {"lam": 9.0, "window": 3}, range(4))[0], plainly(name, range(4)))


@pytest.mark.parametrize("settings", [{"lam": 0.0}, {"lam": 9.0, "start_epoch": 4.0}])
def test_weight_zero_or_a_late_start_of_mesa_is_plain_training(settings):
    assert same(trained("mesa", settings, range(4))[0], plainly("mesa", range(4)))
    assert not same(trained("mesa", {"lam": 9.0}, range(4))[0], plainly("mesa", range(4)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("friendlysam", {"sigma": 0.0}), ("sam", {})),
        (("bsam", {"distance": 0.0}), ("sam", {})),
        (("bsam", {"distance": 0.7, "lam": 0.8}), ("friendlysam", {"sigma": 0.7, "lam": 0.8})),
        (("fishersam", {"eta": 0.0}), ("sam", {})),
        (("vasso", {"theta": 1.0}), ("sam", {})),
        (("gsam", {"alpha": 0.0}), ("sam", {})),
        (("gnp", {"alpha": 1.0}), ("sam", {})),
        (("gnp", {"alpha": 0.0}), ("plain", {})),
        (("ssam", {"sparsity": 0.0}), ("sam", {})),
        (("ssam", {"sparsity": 0.0, "mask": "dynamic", "refresh": 1}), ("sam", {})),
        (("esam", {"beta": 1.0}), ("sam", {})),
        (("looksam", {"interval": 1}), ("sam", {})),
        (("looksam", {"interval": 100, "alpha": 0.0}), ("sam", {"rho_schedule": "constant"})),
        (("mg", {"alpha1": 1.0, "alpha2": 0.0}), ("plain", {})),
    ],
)
def test_strategies_that_are_others_at_the_ends_of_their_settings(one, other):
    numbers = range(1) if one[1].get("interval") == 100 else range(4)
    assert trained(*one, numbers)[0] == pytest.approx(trained(*other, numbers)[0], abs=1e-13)


@pytest.mark.parametrize("name", [name for name in WITH_RADIUS if name not in ("looksam", "esam", *ON_EMBEDDINGS)])
def test_the_perturbation_has_the_length_of_the_radius(name):
    model = Quadratic()
    gradient = [torch.tensor(part) for part in np.split(model.flat_gradient(flat(model), 0), [3])]
    gradient[1] = gradient[1].reshape(2, 1)
    values = [one.detach() for one in model.parameters()]
    perturbation = STRATEGIES[name](rho=0.3).perturbation(Point(values, gradient))
    eps = [0.3 / perturbation.length * part for part in perturbation.direction]
    metric = {
        "asam": lambda part, value, _: part / (value.abs() + 0.01),
        "fishersam": lambda part, _, slope: part * (1 + slope**2).sqrt(),
    }.get(name, lambda part, *_: part)
    lengths = [metric(*each).square().sum() for each in zip(eps, values, gradient, strict=True)]
    assert sum(lengths).sqrt().item() == pytest.approx(0.3, rel=1e-12)
    assert perturbation.norm.item() == pytest.approx(norm(perturbation.direction).item(), rel=1e-12)


@pytest.mark.parametrize("name", MIXABLE)
def test_mixing_with_weight_one_is_the_inner_strategy_and_with_zero_plain_training_on_the_second_batch(name):
    assert same(trained(f"{name}+", {"kappa": 1.0}, range(4))[0], trained(name, {}, range(4))[0])
    assert same(trained(f"{name}+", {"kappa": 0.0}, range(4))[0], plainly(name, range(1, 5)))


def test_interval_perturbs_every_kth_step_only():
    every_second, _ = trained("sam", {"interval": 2}, range(2))
    model = Quadratic()
    context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.05))
    Plain().step(context, batch(0))
    SAM().step(context, batch(1))
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
    context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.05))
    SAM(rho=0.4).step(context, batch(0))
    SAM(rho=0.2).step(context, batch(1))
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
    assert strategy.take_diagnostics()["cos(eps, g1)"] == 0


def test_diagnostics_holds_means_since_the_last_call():
    _, strategy = trained("bsam+", {"distance": "cosine"}, range(3))
    diagnostics = strategy.take_diagnostics()
    assert set(diagnostics) == {"distance", "cos(g1, m)", "cos(eps, g1)"}
    assert diagnostics["distance"] == pytest.approx(diagnostics["cos(g1, m)"])
    assert strategy.take_diagnostics() == {}


def test_diagnostics_of_sam_says_that_it_climbs():
    assert trained("sam", {}, range(3))[1].take_diagnostics() == {"cos(eps, g1)": pytest.approx(1.0)}


@pytest.mark.parametrize("name", strategy_names())
def test_state_put_into_a_fresh_strategy_continues_bit_for_bit(name):
    scheduled = issubclass(STRATEGIES[name.removesuffix("+")], SAMStrategy)
    settings = {"rho_schedule": "inverse"} if scheduled else SHORT_MEMORY.get(name.removesuffix("+"), {})
    problem = problems_of(name)[-1]
    whole, _ = trained(name, settings, range(6), model=problem())
    model = problem()
    _, before = trained(name, settings, range(3), model=model)
    context = context_of(model, torch.optim.SGD(model.parameters(), lr=0.05))
    after = build_strategy(Component(name, settings))
    after.load_state(before.state(), context.params)
    for number in range(3, 6):
        context.progress = float(number)
        after.step(context, *map(batch, range(number, number + after.batches_per_step)))
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
        ({"rhoo": 0.1}, "did you mean rho"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        build_strategy(Component("bsam+", settings))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("asam", {"eta": -0.1}),
        ("fishersam", {"eta": float("nan")}),
        ("friendlysam", {"lam": 1.0}),
        ("vasso", {"theta": 0.0}),
        ("gsam", {"alpha": -1.0}),
        ("gnp", {"alpha": 1.1}),
        ("looksam", {"interval": 0}),
        ("looksam", {"rho": -0.1}),
        ("ssam", {"sparsity": 1.0}),
        ("ssam", {"sparsity": float("nan")}),
        ("ssam", {"mask": "largest"}),
        ("ssam", {"refresh": 0}),
        ("ssam", {"drop": 1.1}),
        ("esam", {"beta": 0.0}),
        ("esam", {"beta": 1.1}),
        ("helen", {"bound": 1.1}),
        ("pamacf", {"lam": -0.1}),
        ("sharpcf", {"lam": -0.1}),
        ("sharpcf", {"window": 0}),
        ("saf", {"lam": -0.1}),
        ("saf", {"window": 0}),
        ("saf", {"temperature": 0.0}),
        ("mesa", {"temperature": float("inf")}),
        ("mesa", {"decay": 1.0}),
        ("mg", {"interval": 0}),
    ],
)
def test_settings_of_competing_methods_out_of_range_are_refused(name, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        build_strategy(Component(name, settings))


def test_a_strategy_that_does_not_end_in_a_gradient_cannot_be_mixed():
    with pytest.raises(ValueError, match=r"unknown strategy 'mg\+'"):
        build_strategy(Component("mg+", {}))


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
        nn.Module.__init__(self)
        self.theta = nn.Parameter(torch.ones(1, dtype=torch.float64))

    def encode(self):
        return Encoded(self.theta[:, None])

    def loss_terms(self, encoded, _batch):
        noise = torch.rand((), dtype=torch.float64)
        return {"loss": (encoded.node_embeddings * noise).sum() * encoded.node_embeddings.sum()}

    def user_item_embeddings(self, encoded):
        return encoded.node_embeddings, encoded.node_embeddings


def gradients_of_a_step(same_dropout_mask):
    model = Noisy()
    context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.0), same_dropout_mask=same_dropout_mask)
    seen = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(2):
            seen += [context.gradients(batch(0))[1][0][0].item() for _ in range(2)]
            context.update([torch.zeros(1, dtype=torch.float64)])
    return seen


def test_passes_of_one_step_see_the_same_noise_and_steps_do_not():
    first, again, second, second_again = gradients_of_a_step(same_dropout_mask=True)
    assert first == again
    assert second == second_again
    assert first != second


def test_fresh_noise_a_pass_can_be_asked_for():
    assert len(set(gradients_of_a_step(same_dropout_mask=False))) == 4


def test_mixed_around_any_strategy_reports_the_loss_of_its_first_batch():
    model = Quadratic()
    context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.05))
    with context.step():
        (want,), _ = context.gradients(batch(0))
    assert Mixed(BSAM()).step(context, batch(0), batch(1)) == want


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"rho_scale": "absolut"}, ValueError, "rho_scale must be one of absolute, relative, row, but is 'absolut'"),
        ({"rho_schedule": "z"}, ValueError, "rho_schedule must be one of constant, inverse, but is 'z'"),
        ({"distance": "z"}, ValueError, "distance must be a number or one of manhattan, .*, but is 'z'"),
        ({"distance": float("nan")}, ValueError, "distance must be finite, but is nan"),
        ({"rho": "0.1"}, TypeError, "rho must be a number, but is '0.1'"),
        ({"rho": True}, TypeError, "rho must be a number, but is True"),
        ({"interval": 2.0}, TypeError, "interval must be a whole number, but is 2.0"),
    ],
)
def test_settings_of_a_wrong_type_or_value_are_refused(settings, error, message):
    strategy = BSAM()
    vars(strategy).update(settings)
    with pytest.raises(error, match=message):
        checked_settings(strategy)


def test_numbers_become_those_of_the_declared_type():
    strategy = BSAM()
    vars(strategy).update(rho=1, lam=np.float32(0.5), interval=torch.tensor(2), distance=np.int64(1))
    assert [repr(checked_settings(strategy)[name]) for name in ("rho", "lam", "interval", "distance")] == (
        ["1.0", "0.5", "2", "1.0"]
    )
