"""The radius row by row, the random control, and the late start."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.config import Component
from flatrec.models import BPR
from flatrec.ops.row_norms import nonzero_rows, row_directions, row_norms
from flatrec.registry.instantiate import build_strategy
from flatrec.strategies import MIXABLE, SAM, STRATEGIES, SAMStrategy
from flatrec.testing import block_dataset, whole_batch
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding
from tests.strategies.problems import BY_HAND, HandStrategy, Network, Quadratic, batch, flat

PERTURBING = [name for name in MIXABLE if issubclass(STRATEGIES[name], SAMStrategy)]
SHAPES = {Quadratic: [(3,), (2, 1)], Network: [(4, 3), (4,)]}


def by_rows(vector, shapes):
    """The slices of a flat vector that are rows: those of matrices, and whole vectors."""
    start, slices = 0, []
    for shape in shapes:
        rows, size = (1, shape[0]) if len(shape) == 1 else (shape[0], shape[1])
        slices += [slice(start + row * size, start + (row + 1) * size) for row in range(rows)]
        start += rows * size
    assert start == len(vector)
    return slices


def hand_rows(direction, theta, shapes, rho):
    eps = np.zeros_like(theta)
    for row in by_rows(theta, shapes):
        size = np.linalg.norm(direction[row])
        if size > 0:
            eps[row] = rho * np.linalg.norm(theta[row]) * direction[row] / size
    return eps


def stepped(model, name, settings, number=0, lr=0.05, progress=0.0, seed=0):
    context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=lr))
    context.progress = progress
    strategy = build_strategy(Component(name, settings))
    strategy.reset(seed)
    strategy.step(context, *map(batch, range(number, number + strategy.batches_per_step)))
    return flat(model), strategy


def draws(shapes, step=0, seed=0):
    stream = seeding.generator(seed, "random direction", step)
    parts = [torch.randn(shape, generator=stream, dtype=torch.float64) for shape in shapes]
    return torch.cat([part.flatten() for part in parts]).numpy()


@pytest.mark.parametrize("problem", [Quadratic, Network])
@pytest.mark.parametrize("name", ["sam", "asam", "fishersam", "friendlysam", "bsam", "vasso", "esam", "ssam"])
def test_a_step_row_by_row_equals_the_one_worked_by_hand(problem, name):
    model = problem()
    theta, rho = flat(model), 0.2
    hand = HandStrategy(name, {"rho": 1.0})
    hand.step = 1
    direction = BY_HAND[name][0](hand, theta, model.flat_gradient(theta, 0))
    eps = hand_rows(direction, theta, SHAPES[problem], rho)
    want = theta - 0.05 * model.flat_gradient(theta + eps, 0)
    assert stepped(model, name, {"rho": rho, "rho_scale": "row"})[0] == pytest.approx(want, abs=1e-10)


@pytest.mark.parametrize("problem", [Quadratic, Network])
def test_the_random_control_moves_as_far_along_the_direction_that_is_drawn(problem):
    model, theta, noise = problem(), flat(problem()), draws(SHAPES[problem], step=1)
    for settings, eps in (
        ({"rho": 0.2}, 0.2 * noise / np.linalg.norm(noise)),
        ({"rho": 0.2, "rho_scale": "row"}, hand_rows(noise, theta, SHAPES[problem], 0.2)),
    ):
        model = problem()
        want = theta - 0.05 * model.flat_gradient(theta + eps, 0)
        assert stepped(model, "sam", {**settings, "control": "random"})[0] == pytest.approx(want, abs=1e-10)


def test_the_control_of_a_metric_has_the_euclidean_length_of_the_perturbation():
    theta, noise = flat(Quadratic()), draws(SHAPES[Quadratic], step=1)
    model = Quadratic()
    gradient = model.flat_gradient(theta, 0)
    length = np.linalg.norm(BY_HAND["asam"][0](HandStrategy("asam", {"rho": 0.3}), theta, gradient))
    want = theta - 0.05 * model.flat_gradient(theta + length * noise / np.linalg.norm(noise), 0)
    assert stepped(model, "asam", {"rho": 0.3, "control": "random"})[0] == pytest.approx(want, abs=1e-10)


def test_rows_of_equal_norm_and_equal_gradients_move_as_one_vector():
    dim, count, rho = 3, 4, 0.1
    generator = torch.Generator().manual_seed(0)
    grad, params = (
        torch.nn.functional.normalize(torch.randn(count, dim, generator=generator, dtype=torch.float64)) * size
        for size in (0.7, 2.0)
    )
    (rows,) = row_directions([grad], row_norms([params]))
    total = rho * 2.0 * count**0.5  # the global radius that moves each row by rho * 2
    assert torch.allclose(rho * rows, total * grad / grad.norm(), atol=1e-10, rtol=0)


class _Recorded(TrainStepContext):
    """Keeps where the strategy went, and how long the rows were."""

    def perturbed(self, direction, scale=1.0):
        self.eps = [scale * part for part in direction]
        self.lengths = [one.detach().norm(dim=1) for one in self.perturbed_params]
        return super().perturbed(direction, scale)


@pytest.mark.parametrize("control", ["none", "random"])
def test_rows_that_no_loss_reaches_do_not_move_and_the_others_move_by_their_length(control):
    data = block_dataset()
    model = BPR(data, BPR.Config(embedding_dim=8)).double()
    context = _Recorded(model, torch.optim.SGD(model.parameters(), lr=0.1))
    few = whole_batch(data).split(40)[0]
    SAM(rho=0.3, rho_scale="row", control=control).step(context, few)
    reached = torch.zeros(len(model.nodes), dtype=torch.bool)
    reached[few.users] = True
    reached[data.n_users + torch.cat([few.positives, few.negatives.flatten()])] = True
    assert 0 < reached.sum() < len(reached)
    assert torch.allclose(context.eps[0].norm(dim=1), 0.3 * context.lengths[0] * reached, atol=1e-10, rtol=0)


def test_tiny_rows_are_directions_and_zeros_are_none():
    rows = torch.tensor([[3e-30, 4e-30], [0.0, 0.0], [-3e20, 4e20]])
    (found,) = row_directions([rows], row_norms([torch.tensor([[5.0, 0.0], [0.0, 7.0], [6.0, 8.0]])]))
    assert torch.allclose(found, torch.tensor([[3.0, 4.0], [0.0, 0.0], [-6.0, 8.0]]))
    (kept,) = nonzero_rows([torch.ones(3, 2)], [rows])
    assert kept.tolist() == [[1, 1], [0, 0], [1, 1]]


@pytest.mark.parametrize("control", ["none", "random"])
@pytest.mark.parametrize("scale", ["absolute", "relative", "row"])
@pytest.mark.parametrize("name", PERTURBING)
def test_radius_zero_is_plain_bit_for_bit(name, scale, control):
    settings = {"rho": 0.0, "rho_scale": scale, "control": control}
    assert (stepped(Network(), name, settings)[0] == stepped(Network(), "plain", {})[0]).all()
    assert (stepped(Network(), name, {**settings, "rho": 0.2})[0] != stepped(Network(), "plain", {})[0]).any()


@pytest.mark.parametrize("name", PERTURBING)
def test_before_its_start_a_step_is_plain_and_costs_one_gradient(name):
    model = Network()
    context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.05))
    calls, inner = [], context.gradients
    context.gradients = lambda *batches: calls.append(1) or inner(*batches)
    strategy = build_strategy(Component(name, {"rho": 0.2, "start_epoch": 1.5}))
    strategy.reset(0)
    context.progress = 1.4
    strategy.step(context, batch(0))
    assert len(calls) == 1
    assert (flat(model) == stepped(Network(), "plain", {})[0]).all()
    context.progress = 1.5
    strategy.step(context, batch(1))
    assert len(calls) == 3


def test_the_mean_of_bsam_is_up_to_date_when_the_perturbation_begins():
    _, late = stepped(Quadratic(), "bsam", {"start_epoch": 3.0})
    assert torch.cat([one.flatten() for one in late.mean]).numpy() == pytest.approx(
        0.4 * Quadratic().flat_gradient(flat(Quadratic()), 0), abs=1e-12
    )


@pytest.mark.parametrize(("progress", "fraction"), [(2.0, 0.0), (3.0, 0.25), (6.0, 1.0)])
def test_the_warm_up_begins_at_the_start(progress, fraction):
    settings = {"rho": 0.4, "rho_warmup": 4.0, "start_epoch": 2.0}
    late = stepped(Quadratic(), "sam", settings, progress=progress)[0]
    assert (late == stepped(Quadratic(), "sam", {"rho": 0.4 * fraction})[0]).all()


def test_the_control_depends_on_the_seed_and_the_step_alone():
    settings = {"rho": 0.3, "control": "random"}
    ends = [stepped(Network(), "sam", settings, seed=seed)[0] for seed in (0, 0, 1)]
    assert (ends[0] == ends[1]).all()
    assert (ends[0] != ends[2]).any()
    assert (draws([(3,)], step=1) != draws([(3,)], step=2)).all()


@pytest.mark.parametrize("settings", [{"rho_scale": "row"}, {"control": "random"}, {"start_epoch": 1e-9}])
@pytest.mark.parametrize("name", ["sam", "bsam+"])
def test_state_put_into_a_fresh_strategy_goes_on_bit_for_bit(name, settings):
    settings = {"rho": 0.3, "rho_scale": "row", "control": "random", **settings}

    def context_of(model):
        return TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.05))

    def go_on(context, strategy, numbers):
        for number in numbers:
            strategy.step(context, *map(batch, range(number, number + strategy.batches_per_step)))

    whole, halves = Network(), Network()
    go_on(context_of(whole), build_strategy(Component(name, settings)), range(6))
    before, after, context = *(build_strategy(Component(name, settings)) for _ in range(2)), context_of(halves)
    go_on(context, before, range(3))
    after.load_state(before.state(), context.params)
    go_on(context, after, range(3, 6))
    assert (flat(halves) == flat(whole)).all()
