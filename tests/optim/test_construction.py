"""What constructors take, show and refuse."""

import inspect
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import nn

from flatrec import optim, strategies
from flatrec.optim import BSAM, ESAM, SAM, SSAM, LookSAM, MirrorGradient, Mixed
from flatrec.training.optimizers import names
from tests.optim.kinds import ALL, adam, data, network, train, values

KINDS = [getattr(optim, name) for name in optim.__all__ if name not in ("Closure", "NonFiniteGradientError")]
ALONE = [one for one in KINDS if one not in (Mixed, optim.StrategyOptimizer)]
NOT_HERE = {"rho_warmup", "start_epoch"}  # they count epochs


@pytest.mark.parametrize("kind", ALONE)
def test_signatures_show_the_settings_of_the_strategy_with_its_defaults(kind):
    shown = {
        name: one.default
        for name, one in inspect.signature(kind).parameters.items()
        if one.kind is inspect.Parameter.KEYWORD_ONLY
    }
    own = {one.name: one.default for one in fields(getattr(strategies, kind.__name__)) if one.init}
    extra = {"seed": 0} if getattr(strategies, kind.__name__).draws_random_numbers else {}
    assert shown == {name: one for name, one in own.items() if name not in NOT_HERE} | {
        **extra,
        "same_dropout_mask": False,
        "model": None,
    }
    assert list(inspect.signature(kind).parameters)[0] == "optimizer"
    assert all(f"{name}" in kind.__doc__ for name in shown)


@pytest.mark.parametrize("kind", ALONE)
def test_every_setting_reaches_the_strategy(kind):
    strategy = getattr(strategies, kind.__name__)
    for one in fields(strategy):
        if not one.init or one.name in NOT_HERE:
            continue
        other = {
            "constant": "inverse",
            "absolute": "relative",
            "fisher": "dynamic",
            "manhattan": "cosine",
            "none": "random",
        }.get(one.default)
        other = other or (one.default + 1 if isinstance(one.default, int) else one.default / 2)
        made = kind(adam(network()), **{one.name: other})
        assert getattr(made.strategy, one.name) == other


def test_mixed_shows_its_weight():
    assert str(inspect.signature(Mixed)).startswith("(inner: ")
    assert inspect.signature(Mixed).parameters["kappa"].default == strategies.Mixed(strategies.SAM()).kappa


@pytest.mark.parametrize("kind", [*ALONE, Mixed])
def test_the_parameters_of_a_model_in_place_of_an_optimizer_are_answered_with_what_to_write(kind):
    model = network()
    for wrong in (
        lambda: kind(model.parameters(), lr=0.1),
        lambda: kind(model.parameters()),
        lambda: kind(list(model.parameters()), lr=0.1),
        lambda: kind(model),
        lambda: kind(lr=0.1),
        lambda: kind(),
    ):
        with pytest.raises(TypeError) as caught:
            wrong()
        said = str(caught.value)
        assert "torch.optim.SGD(model.parameters(), lr=...)" in said
        assert said.count("\n") == 0
        assert f"write {kind.__name__}(" in said
    if kind is BSAM:
        assert "write BSAM(torch.optim.SGD(model.parameters(), lr=...), rho=...)" in said


@pytest.mark.parametrize("kind", ALONE)
def test_a_setting_of_the_base_is_sent_there(kind):
    with pytest.raises(TypeError, match=r"no setting 'lr'; .* settings of the base optimizer go into it"):
        kind(adam(network()), lr=0.1)


class NeedsClosure(torch.optim.SGD):
    """Like LBFGS, of another library."""

    def step(self, closure):
        return closure()


@pytest.mark.parametrize(
    ("base", "what"),
    [(torch.optim.LBFGS, "LBFGS"), (torch.optim.SparseAdam, "sparse"), (NeedsClosure, "NeedsClosure")],
)
@pytest.mark.parametrize("kind", [SAM, BSAM, LookSAM, MirrorGradient])
def test_bases_that_want_something_else_are_refused_at_once(kind, base, what):
    with pytest.raises(TypeError, match=what):
        kind(base(network().parameters(), lr=0.1))


@pytest.mark.parametrize("base", sorted(set(names()) - {"muon"}))  # which is for matrices only
def test_every_other_optimizer_of_torch_is_taken(base):
    model = network()
    optimizer = BSAM(names()[base](model.parameters(), lr=0.01))
    before = values(model)
    train(model, optimizer, range(2))
    assert not torch.equal(values(model), before)


NUMBERS = [np.float32, np.float64, torch.tensor, lambda one: torch.tensor(one, dtype=torch.float64), float]
WHOLE = [np.int64, np.int32, torch.tensor, int]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_any_kind_are_kept_as_pythons(number):
    model = network()
    optimizer = BSAM(adam(model), rho=number(0.25), lam=number(0.5), distance=number(0.75))
    for found, right in ((optimizer.strategy.rho, 0.25), (optimizer.strategy.lam, 0.5)):
        assert type(found) is float
        assert found == right
    assert type(optimizer.strategy.distance) is float
    assert optimizer.strategy.distance == 0.75
    assert all(type(group["rho"]) is float for group in optimizer.param_groups)
    for group in optimizer.param_groups:
        group["rho"] = number(0.5)
    train(model, optimizer, range(2))
    assert optimizer.strategy.rho == 0.5
    assert all(type(group["rho"]) is float for group in optimizer.param_groups)
    assert type(Mixed(SAM(adam(model)), kappa=number(0.25)).strategy.kappa) is float


@pytest.mark.parametrize("number", WHOLE)
def test_whole_numbers_of_any_kind_are_kept_as_pythons(number):
    made = SSAM(adam(network()), interval=number(2), refresh=number(3), seed=number(4), rho=number(1)).strategy
    assert (made.interval, made.refresh, made.seed, made.rho) == (2, 3, 4, 1.0)
    assert [type(one) for one in (made.interval, made.refresh, made.seed, made.rho)] == [int, int, int, float]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rho": "0.1"}, "rho must be a number"),
        ({"rho": None}, "rho must be a number"),
        ({"rho": torch.ones(2)}, "rho must be a number"),
        ({"interval": 2.5}, "interval must be a whole number"),
        ({"interval": np.float32(2)}, "interval must be a whole number"),
    ],
)
def test_settings_of_the_wrong_type_are_named(settings, said):
    with pytest.raises(TypeError, match=said):
        SAM(adam(network()), **settings)


@pytest.mark.parametrize("make", ALL.values())
def test_a_loss_that_is_not_reduced_is_refused_and_one_entry_is_not(make):
    model = network()
    optimizer = make(adam(model))
    inputs, targets = data()

    def closure(reduced):
        optimizer.zero_grad()
        loss = (model(inputs) - targets).square()
        loss.mean().backward()
        return loss.mean().reshape(1, 1) if reduced else loss

    count = optimizer.strategy.batches_per_step
    before = values(model)
    with pytest.raises(ValueError, match=r"shape \(16, 1\); take its mean\(\) before backward\(\)$"):
        optimizer.step(*[lambda: closure(reduced=False)] * count)
    assert torch.equal(values(model), before)
    assert optimizer.step(*[lambda: closure(reduced=True)] * count).shape == ()


@pytest.mark.parametrize("number", [np.float32, np.float64, float, torch.tensor])
def test_the_loss_may_be_a_number_of_any_kind(number):
    model = network()
    optimizer = SAM(adam(model))
    inputs, targets = data()

    def closure():
        optimizer.zero_grad()
        loss = (model(inputs) - targets).square().mean()
        loss.backward()
        return number(loss.item())

    assert float(optimizer.step(closure)) == pytest.approx((network()(inputs) - targets).square().mean().item())


@pytest.mark.parametrize(("kind", "settings"), [(ESAM, {}), (SSAM, {"mask": "dynamic"})])
def test_five_seeds_draw_five_masks_and_one_seed_one(kind, settings):
    ends = []
    for seed in (0, 1, 2, 3, 4, 4):
        model = network()
        train(model, kind(adam(model), rho=0.5, seed=seed, **settings), range(3))
        ends.append(values(model))
    assert torch.equal(ends[4], ends[5])
    assert not any(torch.equal(one, other) for place, one in enumerate(ends[:5]) for other in ends[:place])


def test_a_strategy_of_one_s_own_can_be_wrapped():
    model = network()
    optimizer = optim.StrategyOptimizer(adam(model), strategies.Plain())
    twin = network()
    base = adam(twin)
    train(model, optimizer, [0])
    inputs, targets = data(0)
    (twin(inputs) - targets).square().mean().backward()
    base.step()
    assert torch.equal(values(model), values(twin))


class Complex(nn.Module):
    """|w x + b - y|^2, with complex numbers, or with the pairs of real ones that they are."""

    def __init__(self, *, pairs):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        start = [torch.randn(3, 4, 2, generator=generator), torch.randn(3, 2, generator=generator)]
        self.inputs = torch.view_as_complex(torch.randn(5, 4, 2, generator=generator))
        self.targets = torch.view_as_complex(torch.randn(5, 3, 2, generator=generator))
        made = start if pairs else [torch.view_as_complex(one) for one in start]
        self.weight, self.bias = (nn.Parameter(one.clone()) for one in made)
        self.pairs = pairs

    def loss(self):
        weight, bias = (torch.view_as_complex(one) if self.pairs else one for one in (self.weight, self.bias))
        return (self.inputs @ weight.T + bias - self.targets).abs().square().mean()


@pytest.mark.parametrize("base", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("name", ALL)
def test_a_complex_parameter_is_two_real_ones(name, base):
    ends = []
    for pairs in (False, True):
        model = Complex(pairs=pairs)
        optimizer = ALL[name](base(model.parameters(), lr=0.05))

        def closure(model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = model.loss()
            loss.backward()
            return loss

        for _ in range(5):
            optimizer.step(*[closure] * optimizer.strategy.batches_per_step)
        other = ALL[name](base(model.parameters(), lr=0.05))
        other.load_state_dict(optimizer.state_dict())
        ends.append([one.detach() if pairs else torch.view_as_real(one.detach()) for one in model.parameters()])
    start = Complex(pairs=True).weight
    for one, other in zip(*ends, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert not torch.allclose(ends[0][0], start, atol=1e-2)


def test_complex_parameters_are_moved_by_the_radius_and_restored():
    model = Complex(pairs=False)
    optimizer = SAM(torch.optim.SGD(model.parameters(), lr=0.0), rho=0.5)
    before = [one.detach().clone() for one in model.parameters()]
    model.loss().backward()
    optimizer.first_step()
    moved = torch.cat([(one.detach() - old).flatten() for one, old in zip(model.parameters(), before, strict=True)])
    assert float(moved.norm()) == pytest.approx(0.5, rel=1e-5)
    model.loss().backward()
    optimizer.second_step()
    assert all(torch.equal(one, old) for one, old in zip(model.parameters(), before, strict=True))
