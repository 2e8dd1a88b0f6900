"""What a PyTorch loop expects of an optimizer: schedulers, saved states, groups, noise, running statistics."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from flatrec.optim import BSAM, SAM, SSAM, LookSAM, Mixed, VaSSO


def data(seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(32, 4, generator=generator)
    return inputs, inputs.sum(dim=1, keepdim=True).tanh()


def network(*extra):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), *extra, nn.Tanh(), nn.Linear(8, 1))


def closure_of(model, optimizer, rows=slice(None)):
    inputs, targets = data()

    def closure():
        optimizer.zero_grad()
        loss = (model(inputs[rows]) - targets[rows]).square().mean()
        loss.backward()
        return loss

    return closure


def values(model):
    return torch.cat([one.detach().flatten() for one in model.parameters()])


def test_importing_needs_torch_alone():
    script = (
        "import sys, torch, typing_extensions; before = set(sys.modules); import flatrec.optim; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "['flatrec']"


BLOCKED = """
import sys
sys.modules["numpy"] = None  # torch does without
import torch
import torch._dynamo  # a first step imports it

class Blocker:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in known and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"{name} is not torch's")

known = {name.partition(".")[0] for name in sys.modules} | {"flatrec"}
sys.meta_path.insert(0, Blocker())
from flatrec import optim

model = torch.nn.Linear(3, 1)
for name in optim.__all__:
    kind = getattr(optim, name)
    if not isinstance(kind, type) or not issubclass(kind, optim.StrategyOptimizer) or name == "StrategyOptimizer":
        continue
    base = torch.optim.SGD(model.parameters(), lr=0.1)
    made = kind(optim.BSAM(base)) if name == "Mixed" else kind(base)
    def closure():
        made.zero_grad()
        loss = model(torch.ones(2, 3)).square().mean()
        loss.backward()
        return loss
    for _ in range(3):
        made.step(*[closure] * made.strategy.batches_per_step)
    made.load_state_dict(made.state_dict())
    print(name)
try:
    import scipy
except ImportError as error:
    print(error)
"""


def test_nothing_but_torch_is_needed_to_train():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", BLOCKED], check=True, capture_output=True, text=True)
    *names, last = done.stdout.splitlines()
    assert last == "scipy is not torch's"
    assert len(names) == 14


def test_schedulers_move_the_rate_of_the_base():
    model = network()
    base = torch.optim.SGD(model.parameters(), lr=1.0)
    optimizer = SAM(base)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1)
    for _ in range(2):
        optimizer.step(closure_of(model, optimizer))
        scheduler.step()
    assert base.param_groups[0]["lr"] == pytest.approx(0.01)
    assert optimizer.param_groups is base.param_groups


@pytest.mark.parametrize("make", [SAM, BSAM, VaSSO, LookSAM, SSAM])
@pytest.mark.parametrize("mixed", [False, True])
def test_training_goes_on_from_a_saved_state_to_the_same_bits(tmp_path, make, mixed):
    def made(model):
        optimizer = make(torch.optim.Adam(model.parameters(), lr=0.01), rho=0.1)
        return Mixed(optimizer, kappa=0.4) if mixed else optimizer

    def train(model, optimizer, steps):
        halves = [closure_of(model, optimizer, slice(16)), closure_of(model, optimizer, slice(16, None))]
        for _ in range(steps):
            optimizer.step(*halves[: 2 if mixed else 1])

    whole, part = network(), network()
    optimizer = made(whole)
    train(whole, optimizer, 7)
    optimizer = made(part)
    train(part, optimizer, 4)
    torch.save({"model": part.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "state.pt")
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    again = network()
    again.load_state_dict(saved["model"])
    optimizer = made(again)
    optimizer.load_state_dict(saved["optimizer"])
    train(again, optimizer, 3)
    assert torch.equal(values(again), values(whole))


def test_a_loaded_state_is_not_shared_with_what_it_was_loaded_from():
    model = network()
    optimizer = BSAM(torch.optim.SGD(model.parameters(), lr=0.01))
    optimizer.step(closure_of(model, optimizer))
    saved = optimizer.state_dict()
    kept = copy.deepcopy(saved["strategy"]["mean.0"])
    other = BSAM(torch.optim.SGD(model.parameters(), lr=0.01))
    other.load_state_dict(saved)
    other.step(closure_of(model, other))
    assert torch.equal(saved["strategy"]["mean.0"], kept)


def test_groups_can_be_added_while_training():
    model, head = network(), nn.Linear(1, 1)
    optimizer = BSAM(torch.optim.Adam(model.parameters(), lr=0.01), rho=0.1)
    optimizer.step(closure_of(model, optimizer))
    optimizer.add_param_group({"params": list(head.parameters()), "lr": 0.1, "rho": 0.2})
    assert [group["rho"] for group in optimizer.param_groups] == [0.1, 0.2]
    before = values(head)
    whole = nn.Sequential(model, head)
    for _ in range(2):
        optimizer.step(closure_of(whole, optimizer))
    assert not torch.equal(values(head), before)
    assert len(optimizer.strategy.mean) == 6


def test_gradients_are_none_after_zero_grad_and_those_of_the_base_after_a_step():
    model = network()
    optimizer = SAM(torch.optim.SGD(model.parameters(), lr=0.1))
    before = values(model)
    optimizer.step(closure_of(model, optimizer))
    gradient = torch.cat([one.grad.flatten() for one in model.parameters()])
    assert torch.allclose(values(model), before - 0.1 * gradient)
    optimizer.zero_grad(set_to_none=True)
    assert all(one.grad is None for one in model.parameters())


def test_parameters_that_no_closure_reaches_are_left_alone():
    model, unused = network(), nn.Linear(2, 2)
    optimizer = BSAM(torch.optim.AdamW([*model.parameters(), *unused.parameters()], lr=0.1, weight_decay=0.5))
    before = values(unused)
    optimizer.step(closure_of(model, optimizer))
    assert torch.equal(values(unused), before)


def test_a_parameter_reached_in_one_pass_only_counts_as_zero_in_the_other():
    model, extra = network(), nn.Parameter(torch.ones(()))
    optimizer = SAM(torch.optim.SGD([*model.parameters(), extra], lr=0.1), rho=0.1)
    inner = closure_of(model, optimizer)

    def closure():
        loss = inner()
        if not optimizer.perturbed:
            extra.grad = torch.ones(())
        return loss

    optimizer.step(closure)
    assert extra == 1  # SAM descends the gradient at the perturbed point, which was zero


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(8), nn.BatchNorm1d(8, momentum=None)])
def test_running_statistics_count_a_batch_once(layer):
    model = network(layer)
    twin = copy.deepcopy(model)
    optimizer = SAM(torch.optim.SGD(model.parameters(), lr=0.1), rho=0.5)
    optimizer.step(closure_of(model, optimizer))
    twin(data()[0])
    assert model[1].num_batches_tracked == 1
    assert torch.equal(model[1].running_mean, twin[1].running_mean)
    assert torch.equal(model[1].running_var, twin[1].running_var)


@pytest.mark.parametrize("same", [False, True])
def test_same_noise_draws_the_same_masks_in_both_passes_and_new_ones_a_step(same):
    model = network(nn.Dropout(0.5))
    masks = []
    model[1].register_forward_hook(lambda _module, _inputs, output: masks.append(output == 0))
    optimizer = SAM(torch.optim.SGD(model.parameters(), lr=0.0), same_dropout_mask=same)
    for _ in range(2):
        optimizer.step(closure_of(model, optimizer))
    assert torch.equal(masks[0], masks[1]) == same
    assert not torch.equal(masks[0], masks[2])


def test_same_noise_holds_for_the_first_closure_of_a_mixed_step():
    model = network(nn.Dropout(0.5))
    masks = []
    model[1].register_forward_hook(lambda _module, _inputs, output: masks.append(output == 0))
    optimizer = Mixed(SAM(torch.optim.SGD(model.parameters(), lr=0.0), same_dropout_mask=True))
    optimizer.step(closure_of(model, optimizer), closure_of(model, optimizer))
    assert torch.equal(masks[0], masks[2])
    assert not torch.equal(masks[0], masks[1])


def test_a_compiled_model_trains_as_the_model_does():
    model, twin = network(), network()
    compiled = torch.compile(model, backend="eager")
    optimizer, other = (BSAM(torch.optim.SGD(one.parameters(), lr=0.1), rho=0.2, model=one) for one in (model, twin))
    for _ in range(4):
        optimizer.step(closure_of(compiled, optimizer))
        other.step(closure_of(twin, other))
    assert torch.allclose(values(model), values(twin), atol=1e-6)


def test_a_compiled_model_keeps_its_running_statistics():
    model = network(nn.BatchNorm1d(8))
    compiled = torch.compile(model, backend="eager")
    optimizer = SAM(torch.optim.SGD(model.parameters(), lr=0.1), rho=0.2, model=model)
    for step in range(3):
        optimizer.step(closure_of(compiled, optimizer))
        assert model[1].num_batches_tracked == step + 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_parameters_of_another_precision_are_trained_in_it(dtype):
    model = network().to(dtype)
    optimizer = BSAM(torch.optim.SGD(model.parameters(), lr=0.1), rho=0.1, distance="cosine")
    inputs, targets = (one.to(dtype) for one in data())

    def closure():
        optimizer.zero_grad()
        loss = (model(inputs) - targets).square().mean()
        loss.backward()
        return loss

    first = float(optimizer.step(closure))
    for _ in range(20):
        last = float(optimizer.step(closure))
    assert last < first
    assert all(one.dtype == dtype for one in model.parameters())


def test_a_gradient_scaler_lowers_its_scale_and_the_step_is_skipped():
    """The recipe of the documentation: unscale and update the scaler in the closure, skip what is not finite."""
    from flatrec.optim import NonFiniteGradientError

    model = network()
    optimizer = SAM(torch.optim.SGD(model.parameters(), lr=0.1), rho=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    inputs, targets = data()

    def closure():
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = (model(inputs) - targets).square().mean()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        scaler.update()
        return loss

    skipped, start = 0, values(model)
    for step in range(60):
        try:
            optimizer.step(closure)
        except NonFiniteGradientError:
            skipped += 1
            assert step > 0 or torch.equal(values(model), start)
    assert skipped < 60
    assert not torch.equal(values(model), start)
    plain = network()
    reference = SAM(torch.optim.SGD(plain.parameters(), lr=0.1), rho=0.1)
    for _ in range(60 - skipped):
        reference.step(closure_of(plain, reference))
    assert torch.allclose(values(model), values(plain), atol=0.05)
