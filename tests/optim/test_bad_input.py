"""What is wrong is said in one line, and parameters are never left shifted."""

import pytest
import torch
from torch import nn

from flatrec.optim import ASAM, BSAM, GSAM, SAM, LookSAM, MirrorGradient, Mixed, NonFiniteGradientError


def problem(**options):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    return model, SAM(torch.optim.SGD(model.parameters(), lr=0.1), rho=0.5, **options)


def closure_of(model, optimizer, factor=lambda: 1.0):
    def closure():
        optimizer.zero_grad()
        loss = model(torch.ones(2, 3)).square().mean() * factor()
        loss.backward()
        return loss

    return closure


def adam():
    return torch.optim.Adam(nn.Linear(3, 1).parameters())


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: SAM(adam(), rho=-0.1), "rho"),
        (lambda: SAM(adam(), rho=float("nan")), "rho"),
        (lambda: SAM(adam(), interval=0), "interval"),
        (lambda: SAM(adam(), rho_warmup=3.0), "rho_warmup"),
        (lambda: SAM(adam(), start_epoch=3.0), "start_epoch"),
        (lambda: BSAM(adam(), lam=1.5), "lam"),
        (lambda: BSAM(adam(), lam=-0.1), "lam"),
        (lambda: ASAM(adam(), eta=-1.0), "eta"),
        (lambda: GSAM(adam(), alpha=-1.0), "alpha"),
        (lambda: LookSAM(adam(), interval=0), "interval"),
        (lambda: MirrorGradient(adam(), interval=0), "interval"),
        (lambda: Mixed(SAM(adam()), kappa=1.1), "kappa"),
        (lambda: Mixed(SAM(adam()), kappa=-0.1), "kappa"),
    ],
)
def test_settings_out_of_range_are_refused(make, what):
    with pytest.raises(ValueError, match=what):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: SAM(nn.Linear(3, 1).parameters()),
        lambda: SAM(SAM(adam())),
        lambda: Mixed(adam()),
        lambda: Mixed(MirrorGradient(adam())),
        lambda: Mixed(Mixed(SAM(adam()))),
        lambda: SAM(adam(), lam=0.3),
    ],
)
def test_what_cannot_be_wrapped_is_refused(make):
    with pytest.raises(TypeError):
        make()


def test_the_number_of_closures_is_checked():
    model, optimizer = problem()
    closure = closure_of(model, optimizer)
    mixed = Mixed(SAM(torch.optim.SGD(model.parameters(), lr=0.1)))
    for one, closures in ((optimizer, []), (optimizer, [closure, closure]), (mixed, []), (mixed, [closure])):
        with pytest.raises(TypeError, match="closure"):
            one.step(*closures)
    with pytest.raises(TypeError, match="closure"):
        mixed.step(closure, closure, closure)


def test_a_closure_without_backward_is_noticed_even_with_old_gradients_about():
    model, optimizer = problem()
    closure_of(model, optimizer)()
    with pytest.raises(RuntimeError, match="backward"):
        optimizer.step(lambda: model(torch.ones(2, 3)).sum())


def test_a_closure_without_a_loss_is_noticed():
    model, optimizer = problem()
    closure = closure_of(model, optimizer)

    def silent():
        closure()

    with pytest.raises(TypeError, match="return its loss"):
        optimizer.step(silent)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("which", [0, 1])
def test_a_loss_that_is_not_finite_updates_nothing_in_either_pass(bad, which):
    model, optimizer = problem()
    before = [one.detach().clone() for one in model.parameters()]
    calls = iter([bad if number == which else 1.0 for number in range(2)])
    with pytest.raises(NonFiniteGradientError):
        optimizer.step(closure_of(model, optimizer, lambda: next(calls)))
    assert all(torch.equal(one, old) for one, old in zip(model.parameters(), before, strict=True))
    optimizer.step(closure_of(model, optimizer))
    assert not torch.equal(model.weight, before[0])


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_parameters_are_put_back_when_the_closure_raises_at_the_perturbed_point(error):
    model, optimizer = problem()
    before = [one.detach().clone() for one in model.parameters()]
    inner = closure_of(model, optimizer)

    def closure():
        if optimizer.perturbed:
            assert not torch.equal(model.weight, before[0])
            raise error
        return inner()

    with pytest.raises(error):
        optimizer.step(closure)
    assert all(torch.equal(one, old) for one, old in zip(model.parameters(), before, strict=True))
    assert not optimizer.perturbed


def test_sparse_gradients_are_refused():
    table = nn.Embedding(5, 2, sparse=True)
    optimizer = SAM(torch.optim.SGD(table.parameters(), lr=0.1))

    def closure():
        optimizer.zero_grad()
        loss = table(torch.tensor([1, 2])).sum()
        loss.backward()
        return loss

    with pytest.raises(TypeError, match="sparse"):
        optimizer.step(closure)


def test_parameters_on_two_devices_are_refused():
    parameters = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2, device="meta"))]
    with pytest.raises(ValueError, match="cpu and meta"):
        SAM(torch.optim.SGD(parameters, lr=0.1))


def test_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="nothing to train"):
        SAM(torch.optim.SGD([nn.Parameter(torch.ones(2), requires_grad=False)], lr=0.1))


def test_nothing_to_perturb_is_refused():
    with pytest.raises(ValueError, match="every parameter group"):
        SAM(torch.optim.SGD([{"params": nn.Linear(2, 1).parameters(), "perturb": False}], lr=0.1))


def test_a_bad_radius_of_a_group_is_refused():
    with pytest.raises(ValueError, match="parameter group"):
        SAM(torch.optim.SGD([{"params": nn.Linear(2, 1).parameters(), "rho": -1.0}], lr=0.1))


def test_the_state_of_another_strategy_is_refused_and_changes_nothing():
    model, optimizer = problem()
    bsam = BSAM(torch.optim.SGD(model.parameters(), lr=0.5))
    mixed = Mixed(SAM(torch.optim.SGD(model.parameters(), lr=0.5)))
    for other in (bsam.state_dict(), mixed.state_dict(), torch.optim.SGD(model.parameters(), lr=0.5).state_dict()):
        with pytest.raises(ValueError, match="not of SAM"):
            optimizer.load_state_dict(other)
    assert optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("perturb", ["False", float("nan"), 0, None])
def test_perturb_of_a_group_is_true_or_false(perturb):
    weight = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match="perturb of a parameter group must be True or False, but is"):
        SAM(torch.optim.SGD([{"params": [weight], "perturb": perturb}], lr=0.1))
