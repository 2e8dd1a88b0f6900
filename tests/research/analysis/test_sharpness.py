import dataclasses
import math

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.models import BM3, COHESION, MODELS, da_mrs
from flatrec.research.analysis.sharpness import max_loss_increase, mean_loss_increase, sharpness, top_eigenvalue
from flatrec.utils import seeding
from tests.models.settings import make

HOLDING = {  # models with detached values, made by these
    "bm3": (BM3, "_targets"),
    "cohesion": (COHESION, "_weights"),
    "da-mrs": (da_mrs, "_weights"),
}
STEP = 1e-5  # of central differences: their error is of its square, and rounding of its inverse


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def bits(parameters):
    return [one.detach().numpy().tobytes() for one in parameters]


def turned(eigenvalues, seed=0):
    """A symmetric matrix of these eigenvalues that is not diagonal."""
    axes, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(eigenvalues), len(eigenvalues))))
    return torch.from_numpy(axes @ np.diag(eigenvalues) @ axes.T)


def quadratic(eigenvalues, at=0.0):
    """The loss x^T A x / 2 + 1, x in two tensors, and these."""
    matrix = turned(eigenvalues)
    parameters = [torch.full((1, 2), at), torch.full((len(eigenvalues) - 2,), at)]
    parameters = [one.double().requires_grad_() for one in parameters]

    def loss():
        x = torch.cat([one.flatten() for one in parameters])
        return x @ matrix @ x / 2 + 1

    return loss, parameters


@pytest.mark.parametrize(
    ("eigenvalues", "largest"),
    [((5.0, 2.0, -1.0), 5.0), ((-7.0, 4.0, 1.0), -7.0), ((3e-6, 1e-6, 0.0), 3e-6), ((2.0, 2.0, 2.0, 1.0), 2.0)],
)
@pytest.mark.parametrize("at", [0.0, 3.0])
def test_the_top_eigenvalue_of_a_quadratic_is_exact_and_has_its_sign(eigenvalues, largest, at):
    loss, parameters = quadratic(eigenvalues, at)
    for seed in range(5):
        found = top_eigenvalue(loss, parameters, generator=seeded(seed), iterations=50, tolerance=1e-8)
        assert found == pytest.approx(largest, rel=1e-4)


def test_a_looser_tolerance_and_fewer_iterations_end_sooner():
    loss, parameters = quadratic((5.0, 4.5, -1.0))
    settings = [(100, 1e-12), (100, 0.3), (1, 1e-12)]
    errors = [
        abs(5 - top_eigenvalue(loss, parameters, generator=seeded(), iterations=iterations, tolerance=tolerance))
        for iterations, tolerance in settings
    ]
    assert errors[0] < 1e-6
    assert min(errors[1:]) > 1e-3


def test_parameters_that_the_loss_does_not_use_are_flat():
    loss, parameters = quadratic((5.0, 2.0, -1.0))
    unused, linear = (torch.ones(4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    everything = [unused, *parameters, linear]
    found = top_eigenvalue(lambda: loss() + linear.sum(), everything, generator=seeded(), iterations=50, tolerance=1e-8)
    assert found == pytest.approx(5, rel=1e-4)


def test_a_linear_loss_has_no_curvature():
    point = torch.ones(3, requires_grad=True)
    assert top_eigenvalue(lambda: point.sum(), [point], generator=seeded(), iterations=9, tolerance=1e-6) == 0


class Once(torch.autograd.Function):
    """The sum of squares, whose derivative cannot be differentiated."""

    @staticmethod
    def forward(ctx, values):
        ctx.save_for_backward(values)
        return values.square().sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return 2 * gradient * ctx.saved_tensors[0]


def test_a_loss_that_cannot_be_differentiated_twice_is_refused_in_one_line():
    point = torch.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match="cannot be differentiated twice") as caught:
        top_eigenvalue(lambda: Once.apply(point).square(), [point], generator=seeded(), iterations=9, tolerance=1e-6)
    assert len(str(caught.value).splitlines()) == 1


def test_a_loss_without_a_graph_is_refused():
    point = torch.ones(3, requires_grad=True)
    for measure in (top_eigenvalue, lambda *given, **options: max_loss_increase(*given, radius=1.0, **options)):
        with pytest.raises(ValueError, match="must come with its graph"):
            measure(lambda: point.detach().sum(), [point], generator=seeded())


@pytest.mark.parametrize(("iterations", "tolerance"), [(0, 1e-6), (5, -1.0), (5, math.nan)])
def test_a_power_method_without_iterations_or_tolerance_is_refused(iterations, tolerance):
    loss, parameters = quadratic((5.0, 2.0, -1.0))
    with pytest.raises(ValueError, match="iterations must be at least 1 and tolerance at least 0"):
        top_eigenvalue(loss, parameters, generator=seeded(), iterations=iterations, tolerance=tolerance)


@pytest.mark.parametrize("start", [0.9, 3.0])  # within the reach of the ball, and from the beginning
def test_a_loss_that_is_not_finite_is_no_rise_of_0(start):
    point = torch.full((3,), start, requires_grad=True)
    before = bits([point])
    for measure in (max_loss_increase, mean_loss_increase):
        with pytest.raises(ValueError, match="must be finite around the point"):
            measure(lambda: -(1 - point).sqrt().sum(), [point], radius=1.0, generator=seeded())
        assert bits([point]) == before


@pytest.mark.parametrize("radius", [0.1, 3.0])
def test_the_worst_rise_at_the_minimum_of_a_quadratic_is_that_along_its_top_axis(radius):
    loss, parameters = quadratic((5.0, 2.0, 1.0))
    for seed in range(5):
        found = max_loss_increase(loss, parameters, radius=radius, generator=seeded(seed), ascents=20)
        assert found == pytest.approx(5 * radius**2 / 2, rel=0.01)
        assert found <= 5 * radius**2 / 2 * (1 + 1e-9)  # a lower bound


def test_the_ascent_from_a_stationary_point_begins_in_a_random_direction():
    loss, parameters = quadratic((5.0, 2.0, -1.0))
    found = [max_loss_increase(loss, parameters, radius=1.0, generator=seeded(seed), ascents=1) for seed in (0, 1, 0)]
    assert found[0] == found[2] != found[1]


def test_the_first_ascent_is_the_step_of_sam():
    loss, (table, rest) = quadratic((5.0, 2.0, 1.0), at=0.7)
    point = torch.cat([table.flatten(), rest]).detach()
    slope = turned((5.0, 2.0, 1.0)) @ point
    there = point + 0.2 * slope / slope.norm()
    expected = float(there @ turned((5.0, 2.0, 1.0)) @ there / 2 + 1 - loss().detach())
    assert max_loss_increase(loss, [table, rest], radius=0.2, generator=seeded(), ascents=1) == pytest.approx(expected)


def test_the_worst_rise_of_a_linear_loss_is_its_slope_times_the_radius():
    point = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    other = torch.tensor([[7.0]], dtype=torch.float64, requires_grad=True)
    for ascents in (1, 5):  # the slope is (2, -1, 2), of length 3
        found = max_loss_increase(
            lambda: 2 * point[0] - point[1] + 2 * other.sum(),
            [point, other],
            radius=0.5,
            generator=seeded(),
            ascents=ascents,
        )
        assert found == pytest.approx(1.5)


def test_more_ascents_never_find_less():
    loss, parameters = quadratic((5.0, 2.0, -1.0), at=0.3)
    found = [
        max_loss_increase(loss, parameters, radius=2.0, generator=seeded(), ascents=ascents)
        for ascents in (1, 2, 5, 20)
    ]
    assert found == sorted(found)
    assert found[-1] > found[0] * 1.01


def test_the_worst_rise_is_sought_within_the_ball():
    loss, parameters = quadratic((5.0, 2.0, -1.0), at=0.3)
    middle, distances = [one.detach().clone() for one in parameters], []

    def watched():
        gaps = [(one.detach() - before).flatten() for one, before in zip(parameters, middle, strict=True)]
        distances.append(float(torch.cat(gaps).norm()))
        return loss()

    max_loss_increase(watched, parameters, radius=0.25, generator=seeded(), ascents=5)
    assert max(distances) == pytest.approx(0.25)
    assert all(distance == 0 or distance == pytest.approx(0.25) for distance in distances)


def test_a_loss_that_rises_nowhere_has_a_worst_rise_of_0():
    loss, parameters = quadratic((-5.0, -2.0, -1.0))
    assert max_loss_increase(loss, parameters, radius=1.0, generator=seeded(), ascents=5) == 0


def test_the_mean_rise_of_an_isotropic_quadratic_is_exact():
    loss, parameters = quadratic((3.0, 3.0, 3.0, 3.0))
    for draws in (1, 7):
        found = mean_loss_increase(loss, parameters, radius=0.4, generator=seeded(), draws=draws)
        assert found == pytest.approx(3 * 0.4**2 / 2, rel=1e-6)


def test_the_mean_rise_of_a_quadratic_is_that_of_its_mean_eigenvalue():
    # A single rise is 0.125 times a value of spread 2.2 about 2: the mean of 2000 has a deviation of 2.5 %.
    loss, parameters = quadratic((5.0, 2.0, -1.0))
    found = mean_loss_increase(loss, parameters, radius=0.5, generator=seeded(), draws=2000)
    assert found == pytest.approx(0.5 * 0.25 * 2, rel=0.1)


def test_the_mean_rise_may_be_a_fall():
    loss, parameters = quadratic((-3.0, -3.0, -3.0))
    assert mean_loss_increase(loss, parameters, radius=2.0, generator=seeded(), draws=3) == pytest.approx(-6, rel=1e-6)


MEASURES = {
    "worst rise": lambda loss, parameters: max_loss_increase(
        loss, parameters, radius=0.3, generator=seeded(), ascents=4
    ),
    "mean rise": lambda loss, parameters: mean_loss_increase(loss, parameters, radius=0.3, generator=seeded(), draws=4),
    "top eigenvalue": lambda loss, parameters: top_eigenvalue(loss, parameters, generator=seeded(), iterations=4),
    "all": lambda loss, parameters: sharpness(loss, parameters, radius=0.3, generator=seeded()),
}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("raising", [0, 1, 3])
def test_parameters_are_restored_bit_for_bit_also_when_the_loss_raises(measure, raising):
    point = torch.tensor([[-0.0, 1e-42], [1e10, 1 / 3]], requires_grad=True)
    before, calls = bits([point]), []

    def loss():
        calls.append(1)
        if len(calls) == raising:
            raise KeyError("the loss raises")
        return point.sin().sum()

    if raising and not (measure == "top eigenvalue" and raising > 1):  # which calls it once
        with pytest.raises(KeyError, match="the loss raises"):
            MEASURES[measure](loss, [point])
    else:
        MEASURES[measure](loss, [point])
    assert bits([point]) == before
    assert point.requires_grad
    assert point.grad is None


@pytest.mark.parametrize("measure", MEASURES)
def test_equal_generators_give_equal_numbers(measure):
    loss, parameters = quadratic((5.0, 2.0, -1.0))
    assert MEASURES[measure](loss, parameters) == MEASURES[measure](loss, parameters)


def test_sharpness_is_the_three_numbers_and_the_loss():
    loss, parameters = quadratic((5.0, 2.0, 1.0))
    found = sharpness(loss, parameters, radius=0.2, generator=seeded(), ascents=20)
    assert found.loss == 1
    assert found.max_loss_increase == pytest.approx(0.1, rel=0.01)
    assert 0.02 < found.mean_loss_increase < 0.1  # between those of the least and the largest eigenvalue
    assert found.top_eigenvalue == pytest.approx(5, rel=1e-4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.loss = 0


def test_sharpness_passes_its_settings_on():
    loss, parameters = quadratic((5.0, 2.0, -1.0), at=0.4)
    found = sharpness(loss, parameters, radius=0.2, generator=seeded(), draws=3, ascents=2, iterations=1)
    stream = seeded()  # the gradient is not 0, so the ascent draws nothing
    assert found.max_loss_increase == max_loss_increase(loss, parameters, radius=0.2, generator=stream, ascents=2)
    assert found.mean_loss_increase == mean_loss_increase(loss, parameters, radius=0.2, generator=stream, draws=3)
    assert found.top_eigenvalue == top_eigenvalue(loss, parameters, generator=stream, iterations=1)


@pytest.mark.parametrize("measure", [max_loss_increase, mean_loss_increase])
@pytest.mark.parametrize("radius", [0.0, -1.0, math.inf, math.nan])
def test_a_ball_that_is_none_is_refused(measure, radius):
    loss, parameters = quadratic((5.0, 2.0, 1.0))
    with pytest.raises(ValueError, match="radius must be positive"):
        measure(loss, parameters, radius=radius, generator=seeded())


def test_a_search_without_steps_or_draws_is_refused():
    loss, parameters = quadratic((5.0, 2.0, 1.0))
    with pytest.raises(ValueError, match="at least 1"):
        max_loss_increase(loss, parameters, radius=1.0, generator=seeded(), ascents=0)
    with pytest.raises(ValueError, match="at least 1"):
        mean_loss_increase(loss, parameters, radius=1.0, generator=seeded(), draws=0)


def doubled(name, dataset, **options):
    """A model in float64, and its loss of all pairs with the same noise at every call.

    The epoch begins before the model is converted: graphs that are drawn for it come in float32.
    """
    model = make(name, dataset, **options).train()
    model.on_epoch_start(seeding.generator(0, "model", 1))
    model.double()
    batch = testing.whole_batch(dataset)

    def loss():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return model.loss(model.encode(), batch)

    return loss, [one for one in model.parameters() if one.requires_grad]


def slopes(loss, parameters):
    found = torch.autograd.grad(loss(), parameters, create_graph=True, materialize_grads=True, allow_unused=True)
    return torch.cat([one.flatten() for one in found])


def hessian_times(loss, parameters, way):
    found = torch.autograd.grad(slopes(loss, parameters) @ way, parameters, materialize_grads=True, allow_unused=True)
    return torch.cat([one.flatten() for one in found])


def central_difference(loss, parameters, way):
    middle = [one.detach().clone() for one in parameters]
    sides = []
    for sign in (1, -1):
        steps = (sign * STEP * way).split([one.numel() for one in parameters])
        with torch.no_grad():
            for one, before, step in zip(parameters, middle, steps, strict=True):
                one.copy_(before + step.view_as(one))
        sides.append(slopes(loss, parameters).detach())
    with torch.no_grad():
        for one, before in zip(parameters, middle, strict=True):
            one.copy_(before)
    return (sides[0] - sides[1]) / (2 * STEP)


def gap(loss, parameters):
    """The relative distance of the two ways to a product with the Hessian, along a random direction of length 1."""
    size = sum(one.numel() for one in parameters)
    way = torch.nn.functional.normalize(torch.randn(size, generator=seeded(1), dtype=torch.float64), dim=0)
    exact, approximate = (how(loss, parameters, way) for how in (hessian_times, central_difference))
    assert exact.norm() > 1e-4
    return float((exact - approximate).norm() / approximate.norm())


@pytest.mark.parametrize("name", sorted(set(MODELS) - HOLDING.keys()))
def test_every_model_is_differentiated_twice_as_differences_say(name):
    loss, parameters = doubled(name, testing.block_dataset())
    assert loss().dtype == torch.float64
    assert gap(loss, parameters) < 1e-3


@pytest.mark.parametrize("name", HOLDING)
def test_a_model_that_holds_constants_is_differentiated_twice_with_them_held(name, monkeypatch):
    # No derivative passes through what is detached, but a difference of gradients sees it move.
    loss, parameters = doubled(name, testing.block_dataset())
    assert gap(loss, parameters) > 0.01
    holder, function = HOLDING[name]
    compute, held = getattr(holder, function), []
    monkeypatch.setattr(holder, function, lambda *given: held.append(compute(*given)) or held[-1])
    loss()
    count = len(held)

    def replayed():
        queue = iter(held[:count])
        monkeypatch.setattr(holder, function, lambda *_: next(queue))
        return loss()

    assert count > 0
    assert gap(replayed, parameters) < 1e-3


@pytest.mark.parametrize("name", ["bpr", "lightgcn", "ngcf"])
def test_the_top_eigenvalue_of_a_model_is_that_of_its_whole_hessian(name):
    dataset = testing.block_dataset(blocks=2, users=3, items=3)
    options = {"embedding_dim": 2} | ({"hidden_dims": (2,)} if name == "ngcf" else {})
    loss, parameters = doubled(name, dataset, **options)
    size = sum(one.numel() for one in parameters)
    whole = np.stack([hessian_times(loss, parameters, way).numpy() for way in torch.eye(size, dtype=torch.float64)])
    np.testing.assert_allclose(whole, whole.T, atol=1e-9)
    eigenvalues = np.linalg.eigvalsh(whole)
    largest = eigenvalues[np.abs(eigenvalues).argmax()]
    found = top_eigenvalue(loss, parameters, generator=seeded(), iterations=2000, tolerance=1e-10)
    assert found == pytest.approx(largest, rel=1e-4)
