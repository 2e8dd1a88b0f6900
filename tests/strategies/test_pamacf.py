"""PamaCF beside the form of its release, which moves copies of the rows of every interaction."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import logsigmoid, normalize

from flatrec.data.batches import Batch
from flatrec.strategies import Mixed, PamaCF, Plain, Point
from flatrec.strategies.batch_rows import BatchRows, mean_by_row
from flatrec.strategies.contrib.pamacf import user_scales
from flatrec.training.step_context import TrainStepContext
from tests.strategies.problems import N_BATCHES, Factors, batch, context_of

LR = 0.1


def apart() -> Batch:
    """Three interactions that have no row in common."""
    users, positives, negatives = [0, 1, 2], [3, 4, 5], [6, 7, 8]
    return Batch(torch.tensor(users), torch.tensor(positives), torch.tensor(negatives)[:, None])


def rows_of(few: Batch) -> list[torch.Tensor]:
    return [few.users, few.positives + N_BATCHES, few.negatives[:, 0] + N_BATCHES]


def stepped(strategy, few, model=None):
    model = model or Factors()
    context = context_of(model, torch.optim.SGD(model.parameters(), lr=LR))
    seen, perturbed = [], context.perturbed

    def spying(direction, scale=1.0):
        seen.append(scale * direction[0])
        return perturbed(direction, scale)

    context.perturbed = spying
    strategy.step(context, *[few] * strategy.batches_per_step)
    return model.nodes.detach(), seen


def test_a_step_equals_that_of_the_release_where_no_row_is_read_twice():
    rho, lam, few, model = 0.4, 0.7, apart(), Factors()
    copies = [model.nodes[rows].detach().requires_grad_() for rows in rows_of(few)]

    def loss_of(users, positives, negatives):
        return -logsigmoid((users * (positives - negatives)).sum(dim=1)).mean()

    loss = loss_of(*copies)
    slopes = torch.autograd.grad(loss, copies, retain_graph=True)
    weights = copies[0].detach().norm(dim=1) ** 2
    radii = rho * 2 * torch.sigmoid(weights / weights.mean() - 1)
    moved = [one + normalize(slope, dim=1) * radii[:, None] for one, slope in zip(copies, slopes, strict=True)]
    total = torch.autograd.grad(loss + lam * loss_of(*moved), copies)
    want = model.nodes.detach().clone()
    for rows, slope in zip(rows_of(few), total, strict=True):
        want[rows] -= LR * slope
    found, _ = stepped(PamaCF(rho=rho, lam=lam), few)
    assert torch.allclose(found, want, atol=1e-10, rtol=0)
    assert len(set(radii.tolist())) == 3


def test_users_of_equal_norm_have_one_radius_for_all_rows():
    model = Factors()
    with torch.no_grad():
        model.nodes[:N_BATCHES] = 1.7 * normalize(model.nodes[:N_BATCHES], dim=1)
    _, (eps,) = stepped(PamaCF(rho=0.4), batch(0), model)
    read = torch.zeros(len(eps), dtype=torch.bool)
    read[torch.cat(rows_of(batch(0)))] = True
    assert torch.allclose(eps.norm(dim=1), 0.4 * read.double(), atol=1e-12, rtol=0)


def test_the_larger_the_user_the_further_it_moves_and_never_further_than_twice():
    scales = user_scales(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [100.0, 0.0]]))
    assert (scales.diff() > 0).all()
    assert 0.5 < scales[0] < scales[-1] < 2
    assert user_scales(torch.zeros(3, 2)).unique().numel() == 1


def test_each_row_has_the_mean_of_the_interactions_that_read_it():
    rows = BatchRows(torch.tensor([0, 1, 1]), torch.tensor([2, 3, 2]), torch.tensor([[4, 5], [2, 4], [5, 5]]))
    means = mean_by_row(torch.tensor([1.0, 2.0, 4.0]), rows, 7)
    assert means.tolist() == pytest.approx([1, 3, (1 + 4 + 2) / 3, 2, (1 + 2) / 2, (1 + 4 + 4) / 3, 0])


@pytest.mark.parametrize("settings", [{}, {"rho_scale": "row"}])
def test_the_random_control_moves_the_same_rows_as_far_elsewhere(settings):
    (eps,), (control,) = (
        stepped(PamaCF(rho=0.4, control=control, **settings), batch(0))[1] for control in ("none", "random")
    )
    assert torch.allclose(control.norm(dim=1), eps.norm(dim=1), atol=1e-12, rtol=0)
    assert 0 < (eps.norm(dim=1) > 0).sum() < len(eps)
    assert not torch.allclose(control, eps, atol=1e-3)


def test_row_by_row_the_norm_of_the_user_has_no_other_effect():
    _, (eps,) = stepped(PamaCF(rho=0.4, rho_scale="row"), batch(0))
    read = torch.zeros(len(eps), dtype=torch.bool)
    read[torch.cat(rows_of(batch(0)))] = True
    assert torch.allclose(eps.norm(dim=1), 0.4 * Factors().nodes.detach().norm(dim=1) * read, atol=1e-12, rtol=0)


def test_weight_zero_is_plain_training():
    assert torch.equal(stepped(PamaCF(rho=0.4, lam=0.0), batch(0))[0], stepped(Plain(), batch(0))[0])


def test_mixing_counts_the_rows_of_the_first_batch():
    alone, mixed = (stepped(one, batch(0))[0] for one in (PamaCF(rho=0.4), Mixed(PamaCF(rho=0.4), kappa=1.0)))
    assert torch.equal(alone, mixed)


def test_parameters_are_refused_in_one_line():
    model = Factors()
    context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=LR))
    values = [model.nodes.detach()]
    for refused in (lambda: PamaCF().step(context, batch(0)), lambda: PamaCF().perturbation(Point(values, values))):
        with pytest.raises(ValueError, match="set training.perturb_target to embeddings") as caught:
            refused()
        assert "\n" not in str(caught.value)
