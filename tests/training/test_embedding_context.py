"""Steps that perturb final embeddings: the ordinary gradient at radius 0, by hand elsewhere, one encode each."""

from __future__ import annotations

import pytest
import torch

from flatrec.config import Component, Training
from flatrec.models import FREEDOM, MODELS, VBPR, Adversarial, LightGCN
from flatrec.registry.instantiate import build_strategy, strategy_names
from flatrec.sampling.sampler import Sampler
from flatrec.strategies import NonFiniteGradientError
from flatrec.testing import block_dataset, whole_batch
from flatrec.training.embedding_context import EmbeddingStepContext, perturbing
from flatrec.training.step_context import TrainStepContext
from flatrec.training.trainer import Trainer
from tests.strategies.problems import TRAJECTORY

pytestmark = pytest.mark.repeats


def made(kind, *, double=True, **settings):
    torch.manual_seed(0)
    model = kind(block_dataset(), kind.Config(**settings))
    model.on_epoch_start(torch.Generator().manual_seed(0))  # first, so that what it draws becomes float64 too
    return (model.double() if double else model).train()


def context_of(model, target="embeddings", lr=0.1, optimizer=torch.optim.SGD, **settings):
    return perturbing(TrainStepContext(model, optimizer(model.parameters(), lr=lr), **settings), target)


def trained(model, name, target, *, settings=None, steps=2, **given):
    context, strategy = context_of(model, target, **given), build_strategy(Component(name, settings or {}))
    batch = whole_batch(block_dataset())
    first, second = batch.split(2)
    torch.manual_seed(1)
    for _ in range(steps):
        strategy.step(context, *[first, second][: strategy.batches_per_step])
        model.on_step_end()
    return torch.cat([one.detach().flatten() for one in model.parameters()])


@pytest.mark.parametrize("name", ["plain", "plain+", "mg"])
@pytest.mark.parametrize("kind", MODELS)
def test_without_perturbation_every_model_takes_the_ordinary_step(kind, name):
    ends = [trained(made(MODELS[kind]), name, target) for target in ("parameters", "embeddings")]
    assert torch.isfinite(ends[0]).all()
    assert torch.allclose(ends[1], ends[0], atol=1e-10, rtol=0)


WITHOUT_RADIUS = ("plain", "mg", *TRAJECTORY)


@pytest.mark.parametrize("name", [name for name in strategy_names() if name.removesuffix("+") not in WITHOUT_RADIUS])
def test_radius_zero_takes_the_ordinary_step(name):
    plain = "plain+" if name.endswith("+") else "plain"
    ends = [
        trained(made(LightGCN, reg_weight=0.5), plain, "parameters"),
        trained(made(LightGCN, reg_weight=0.5), name, "embeddings", settings={"rho": 0.0}),
    ]
    assert torch.allclose(ends[1], ends[0], atol=1e-10, rtol=0)


def test_features_that_are_trained_take_the_ordinary_step():
    ends = [
        trained(made(FREEDOM, features="trained", modality_weight=0.5), "plain+", target)
        for target in ("parameters", "embeddings")
    ]
    assert torch.allclose(ends[1], ends[0], atol=1e-10, rtol=0)


@pytest.mark.parametrize("scale", ["absolute", "row"])
def test_a_step_equals_the_one_worked_by_hand(scale):
    """By a dense matrix of the propagation and formulas of BPR and its penalty."""
    rho, lr, weight = 0.3, 0.1, 0.5
    model, batch = made(LightGCN, reg_weight=weight, n_layers=2, embedding_dim=4), whole_batch(block_dataset())
    x, n_users = model.nodes.detach().clone(), model.sizes[0]
    eye = torch.eye(len(x), dtype=x.dtype)
    with torch.no_grad():
        model.nodes.data = eye  # the propagated identity is the matrix
        matrix = model.encode().node_embeddings
        model.nodes.data = x
    negatives = batch.negatives.flatten()
    columns = batch.users, batch.positives + n_users, negatives + n_users

    def bpr_slope(h):
        u, p, n = (h[one] for one in columns)
        pull = -torch.sigmoid(-(u * (p - n)).sum(dim=1, keepdim=True)) / len(batch)
        slope = torch.zeros_like(h)
        for rows, part in zip(columns, (pull * (p - n), pull * u, -pull * u), strict=True):
            slope.index_add_(0, rows, part)
        return slope

    direct = torch.zeros_like(x)
    for rows in columns:
        direct.index_add_(0, rows, weight * x[rows] / x[rows].norm() / len(batch))
    h = matrix @ x
    slope = bpr_slope(h)
    sizes = slope.norm(dim=1, keepdim=True)
    by_rows = h.norm(dim=1, keepdim=True) * torch.where(sizes > 0, slope / sizes, torch.zeros_like(slope))
    eps = rho * (slope / slope.norm() if scale == "absolute" else by_rows)
    want = x - lr * (matrix.T @ bpr_slope(h + eps) + direct)
    build_strategy(Component("sam", {"rho": rho, "rho_scale": scale})).step(context_of(model, lr=lr), batch)
    assert torch.allclose(model.nodes.detach(), want, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", strategy_names())
def test_a_step_encodes_once_per_update(name):
    model = made(LightGCN)
    context, calls, encode = context_of(model), [], model.encode
    model.encode = lambda: calls.append(1) or encode()
    strategy = build_strategy(Component(name, {"interval": 1} if "mg" in name else {}))
    batch = whole_batch(block_dataset())
    for _ in range(2):
        before = len(calls)
        strategy.step(context, *[batch] * strategy.batches_per_step)
        assert len(calls) - before == (2 if name == "mg" else 1)


@pytest.mark.parametrize("settings", [{}, {"interval": 2}, {"rho_scale": "row"}, {"control": "random"}])
@pytest.mark.parametrize("name", ["sam", "bsam", "bsam+"])
@pytest.mark.parametrize("kind", MODELS)
def test_every_model_trains_with_perturbed_embeddings(kind, name, settings):
    ends = [trained(made(MODELS[kind]), name, "embeddings", settings={"rho": rho, **settings}) for rho in (0.0, 0.5)]
    assert torch.isfinite(ends[1]).all()
    assert not torch.equal(ends[0], ends[1])


@pytest.mark.parametrize("kind", ["lightgcn", "bm3", "lgmrec"])
def test_gradients_of_a_step_see_one_mask_and_leave_no_perturbation(kind):
    context, batch = context_of(made(MODELS[kind])), whole_batch(block_dataset())
    torch.manual_seed(3)
    with context.step():
        (first,), _ = context.gradients(batch)
        before = context.perturbed_params[0].detach().clone()
        with context.perturbed([torch.ones_like(before)], 0.5):
            (away,), _ = context.gradients(batch)
        (again,), _ = context.gradients(batch)
        assert torch.equal(context.perturbed_params[0], before)
    with context.step():
        (other,), _ = context.gradients(batch)
    assert first == again != away
    assert (other != first) == (kind != "lightgcn")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "lgmrec"])
def test_lower_precision_trains_to_nearly_the_same(kind, precision):
    ends = [
        trained(made(MODELS[kind], double=False), "sam", "embeddings", settings={"rho": 0.05}, lr=0.01, precision=one)
        for one in ("float32", precision)
    ]
    assert ends[1].dtype == torch.float32
    assert torch.allclose(ends[0], ends[1], atol=0.03)


def test_state_of_a_run_goes_on_bit_for_bit():
    def go_on(context, strategy, times):
        for _ in range(times):
            strategy.step(context, *whole_batch(block_dataset()).split(2))

    settings = {"rho": 0.3, "rho_scale": "row", "control": "random"}
    whole, halves = made(LightGCN), made(LightGCN)
    go_on(context_of(whole), build_strategy(Component("bsam+", settings)), 4)
    before, after = (build_strategy(Component("bsam+", settings)) for _ in range(2))
    go_on(context_of(halves), before, 2)
    fresh = context_of(halves)
    after.load_state(before.state(), fresh.params)
    go_on(fresh, after, 2)
    assert torch.equal(whole.nodes, halves.nodes)


def test_making_the_context_draws_no_random_number_and_leaves_the_mode():
    torch.manual_seed(0)
    model = made(MODELS["lgmrec"])
    before = torch.get_rng_state()
    context_of(model)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training


def test_a_gradient_that_is_not_finite_on_its_way_to_the_parameters_changes_nothing():
    model = made(LightGCN)
    context, before = context_of(model), model.nodes.detach().clone()
    with context.step():
        _, (gradient,) = context.gradients(whole_batch(block_dataset()))
        endless = [torch.full_like(gradient[0], float("inf")), *gradient[1:]]
        with pytest.raises(NonFiniteGradientError):
            context.update(endless)
    assert torch.equal(model.nodes, before)


def test_what_does_not_go_together_is_refused_in_one_line():
    model = made(VBPR)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for settings, message in (
        ({"perturb_exclude": ["items*"]}, "perturb_exclude"),
        ({"grad_accumulation_steps": 2}, "grad_accumulation_steps"),
        ({"objective": Adversarial(model, epsilon=0.1)}, "amr"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            EmbeddingStepContext(TrainStepContext(model, optimizer, **settings))
        assert "\n" not in str(caught.value)


class _StopError(Exception):
    """Raised in the middle of a run."""


def fitted(folder, *, stop_after=None):
    """A run of four epochs, from its checkpoint if there is one, which may be ended like a kill."""
    data = block_dataset()
    torch.manual_seed(0)
    model = LightGCN(data, LightGCN.Config(embedding_dim=8))
    strategy = build_strategy(Component("bsam+", {"rho": 0.1, "rho_scale": "row", "start_epoch": 1.0}))
    settings = Training(epochs=4, select="last", loggers=())
    context = context_of(model, optimizer=torch.optim.Adam)
    trainer = Trainer(context, strategy, Sampler(data.interactions, 16), None, settings=settings, seed=3, folder=folder)
    trainer.resume()
    step = strategy.step

    def stepped(*given):
        if context.progress >= (stop_after or 9):
            raise _StopError
        return step(*given)

    strategy.step = stepped
    if stop_after is None:
        trainer.run()
    else:
        with pytest.raises(_StopError):
            trainer.run()
    return model.nodes.detach()


def test_a_run_that_goes_on_from_its_checkpoint_ends_in_the_same_bits(tmp_path):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = fitted(tmp_path / "whole")
    fitted(tmp_path / "killed", stop_after=2.5)
    assert torch.equal(fitted(tmp_path / "killed"), whole)
