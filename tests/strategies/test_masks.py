"""The strategies that perturb a part of the entries: which, and by how much."""

from __future__ import annotations

import pytest
import torch

from flatrec.config import Component
from flatrec.registry.instantiate import build_strategy
from flatrec.strategies import ESAM, SSAM, Point
from flatrec.training.step_context import TrainStepContext
from tests.strategies.problems import Network, batch, flat

MASKS = ["fisher", "dynamic"]
SHAPES = [(7, 5), (3,), (40, 4), ()]
SIZE = 35 + 3 + 160 + 1


def gradient_of(seed, n_zeros=0):
    """Random numbers in some shapes, the first of them zero."""
    numbers = torch.randn(SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    numbers[:n_zeros] = 0
    parts = numbers.split([torch.Size(shape).numel() for shape in SHAPES])
    return [part.reshape(shape) for part, shape in zip(parts, SHAPES, strict=True)]


def joined(vector):
    return torch.cat([part.flatten() for part in vector])


def ascents(strategy, gradients):
    """The perturbed entries of each step, as the base class would ask for them."""
    found = []
    for gradient in gradients:
        found.append(joined(strategy.perturbation(Point([], gradient)).direction) != 0)
        strategy.steps += 1
    return found


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.999])
@pytest.mark.parametrize("n_zeros", [0, 150, SIZE])
def test_the_mask_holds_its_share_to_the_entry_whatever_the_gradient(mask, sparsity, n_zeros):
    strategy = SSAM(sparsity=sparsity, mask=mask, refresh=1)
    for seed in range(4):
        ascents(strategy, [gradient_of(seed, n_zeros)])
        assert joined(strategy.active).sum() == SIZE - int(sparsity * SIZE)
        assert [one.shape for one in strategy.active] == [torch.Size(shape) for shape in SHAPES]


def test_the_fisher_mask_is_made_of_the_steepest_entries_of_all_parameters():
    gradient = gradient_of(0)
    (found,) = ascents(SSAM(sparsity=0.9), [gradient])
    steepness = joined(gradient).square()
    assert steepness[found].min() > steepness[~found].max()


@pytest.mark.parametrize("mask", MASKS)
def test_the_mask_changes_at_a_refresh_and_only_there(mask):
    found = ascents(SSAM(mask=mask, refresh=3), [gradient_of(seed) for seed in range(7)])
    changes = [not torch.equal(one, other) for one, other in zip(found, found[1:], strict=False)]
    assert changes == [False, False, True, False, False, True]


@pytest.mark.parametrize("drop", [0.0, 0.25, 1.0])
def test_a_refresh_drops_the_flattest_entries_and_takes_in_some_from_outside(drop):
    gradient = gradient_of(1)
    before, after = ascents(SSAM(sparsity=0.5, mask="dynamic", refresh=1, drop=drop), [gradient_of(0), gradient])
    dropped, kept = before & ~after, before & after
    assert dropped.sum() == (after & ~before).sum() == min(int(drop * before.sum()), int((~before).sum()))
    steepness = joined(gradient).abs()
    if 0 < dropped.sum() < before.sum():
        assert steepness[dropped].max() < steepness[kept].min()


def test_a_refresh_cannot_replace_more_than_there_is_outside():
    before, after = ascents(
        SSAM(sparsity=0.1, mask="dynamic", refresh=1, drop=0.9), [gradient_of(seed) for seed in range(2)]
    )
    assert (after & ~before).sum() == (~before).sum() == int(0.1 * SIZE)


def test_entries_of_later_parameters_wait_for_the_next_refresh():
    strategy = SSAM(sparsity=0.5, mask="dynamic", refresh=2)
    ascents(strategy, [gradient_of(0)[:3]])
    waiting, taken = ascents(strategy, [gradient_of(1), gradient_of(2)])
    assert waiting.sum() == (SIZE - 1) - (SIZE - 1) // 2
    assert not waiting[-1]
    assert taken.sum() == SIZE - SIZE // 2


def test_a_mask_of_other_parameters_is_refused():
    strategy = SSAM()
    ascents(strategy, [gradient_of(0)])
    with pytest.raises(ValueError, match="other parameters"):
        ascents(strategy, [gradient_of(0)[1:]])


@pytest.mark.parametrize("build", [lambda: SSAM(mask="dynamic", refresh=1), lambda: ESAM(beta=0.5)])
def test_draws_neither_read_nor_move_the_global_generator_and_differ_from_step_to_step(build):
    gradients = [gradient_of(0)] * 3
    with torch.random.fork_rng():
        torch.manual_seed(0)
        before = torch.get_rng_state()
        one = ascents(build(), gradients)
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(1)
        other = ascents(build(), gradients)
    assert all(map(torch.equal, one, other))
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[1], one[2])


def test_the_mean_perturbation_of_esam_is_that_of_sam():
    gradient, strategy, beta, n_steps = gradient_of(0), ESAM(rho=0.3, beta=0.4), 0.4, 2000
    total, squares = torch.zeros(SIZE, dtype=torch.float64), 0.0
    for _ in range(n_steps):
        perturbation = strategy.perturbation(Point([], gradient))
        eps = 0.3 / perturbation.length * joined(perturbation.direction)
        total += eps / n_steps
        squares += eps.square().sum().item() / n_steps
        strategy.steps += 1
    sam = 0.3 * joined(gradient) / joined(gradient).norm()
    assert (total - sam).norm() < 3 * 0.3 * ((1 / beta - 1) / n_steps) ** 0.5
    assert squares == pytest.approx(0.3**2 / beta, rel=0.01)


def test_each_perturbed_entry_of_esam_is_that_of_sam_over_beta():
    gradient = gradient_of(0)
    perturbation = ESAM(rho=0.3, beta=0.4).perturbation(Point([], gradient))
    eps = 0.3 / perturbation.length * joined(perturbation.direction)
    sam = 0.3 * joined(gradient) / joined(gradient).norm()
    assert torch.allclose(eps[eps != 0], sam[eps != 0] / 0.4, rtol=1e-12)
    assert perturbation.norm.item() == pytest.approx(joined(perturbation.direction).norm().item(), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "settings"), [*(("ssam", {"mask": mask, "refresh": 2, "sparsity": 0.6}) for mask in MASKS), ("esam", {})]
)
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_state_taken_between_or_at_refreshes_continues_bit_for_bit(name, settings, cut):
    def go_on(model, strategy, numbers):
        context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.05))
        for number in numbers:
            strategy.step(context, batch(number))

    def fresh():
        return build_strategy(Component(name, settings))

    whole, model, before, after = Network(), Network(), fresh(), fresh()
    go_on(whole, fresh(), range(6))
    go_on(model, before, range(cut))
    after.load_state({key: one.clone() for key, one in before.state().items()}, list(model.parameters()))
    go_on(model, after, range(cut, 6))
    assert (flat(model) == flat(whole)).all()
    assert all(one.dtype == torch.bool for key, one in after.state().items() if key != "steps")
