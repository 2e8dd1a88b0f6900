import math

import pytest
import torch

from flatrec.data.batches import Batch
from flatrec.models.losses import (
    bpr_loss_of_differences,
    gather_embeddings,
    half_squares,
    info_nce,
    info_nce_among_all,
    mean_squares,
)


def tensor(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_rows_are_those_of_users_and_of_items_behind_them():
    nodes = torch.arange(5.0)[:, None]  # users 0 and 1, items 0 to 2
    batch = Batch(torch.tensor([1, 0, 1]), torch.tensor([0, 2, 2]), torch.tensor([[1], [0], [1]]))
    assert [block.flatten().tolist() for block in gather_embeddings(nodes, batch, 2)] == [
        [1, 0, 1],
        [2, 4, 4],
        [3, 2, 3],
    ]


def test_the_gradient_of_rows_adds_up_over_repeated_numbers():
    nodes = torch.zeros(5, 1, requires_grad=True)
    batch = Batch(torch.tensor([1, 1, 1]), torch.tensor([0, 0, 2]), torch.tensor([[2], [1], [0]]))
    sum(block.sum() for block in gather_embeddings(nodes, batch, 2)).backward()
    assert nodes.grad.flatten().tolist() == [0, 3, 3, 1, 2]


def test_bpr_is_as_worked_by_hand():
    # Margins 1 * (3 - 1) + 2 * (1 - 1) = 2 and 0.
    users = torch.tensor([[1.0, 2.0], [5.0, 0.0]])
    positives, negatives = torch.tensor([[3.0, 1.0], [1.0, 7.0]]), torch.tensor([[1.0, 1.0], [1.0, -7.0]])
    expected = (math.log1p(math.exp(-2)) + math.log(2)) / 2
    assert bpr_loss_of_differences(users, positives - negatives).item() == pytest.approx(expected, rel=1e-6)


def test_bpr_equals_its_definition():
    blocks = [tensor(7, 3, seed=seed) for seed in range(3)]
    users, positives, negatives = blocks
    margins = (users * positives).sum(dim=1) - (users * negatives).sum(dim=1)
    torch.testing.assert_close(
        bpr_loss_of_differences(blocks[0], blocks[1] - blocks[2]), -margins.sigmoid().log().mean()
    )


@pytest.mark.parametrize(("margin", "value", "slope"), [(-1e4, 1e4, 1e4), (1e4, 0, 0)])
def test_bpr_and_its_gradient_are_right_at_any_margin(margin, value, slope):
    users = torch.tensor([[1.0]], requires_grad=True)
    loss = bpr_loss_of_differences(users, torch.tensor([[margin]]))
    loss.backward()
    assert loss.item() == value
    assert users.grad.item() == slope


def test_bpr_passes_the_numerical_check():
    blocks = [tensor(4, 3, seed=seed).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(lambda users, p, n: bpr_loss_of_differences(users, p - n), blocks)


def test_mean_squares_count_users_once_for_each_of_their_items():
    users, positives, negatives = (torch.tensor([[2.0, 0.0]]), torch.tensor([[4.0, 2.0]]), torch.tensor([[0.0, 6.0]]))
    # (2 * 4 + 20 + 36) over twice two entries, users listed twice, and a half.
    assert mean_squares(users, positives, negatives[:, None]).item() == (2 * 4 + 20 + 36) / (2 * 2)


def test_half_squares_are_half_the_sum_of_squares():
    assert half_squares(torch.tensor([[3.0], [4.0]]), torch.tensor([[0.0], [2.0]])).item() == (9 + 16 + 4) / 2


def test_the_contrast_within_a_batch_equals_its_definition():
    anchors, partners = tensor(5, 3), tensor(5, 3, seed=1)
    powers = (anchors @ partners.T / 0.3).exp()
    expected = (powers.sum(dim=1).log() - powers.diagonal().log()).mean()
    torch.testing.assert_close(info_nce(anchors, partners, 0.3), expected)


def test_the_contrast_among_all_equals_its_definition():
    everyone = tensor(9, 3)
    numbers = torch.tensor([4, 4, 0])
    anchors, partners = tensor(3, 3, seed=1), everyone[numbers]
    cosines = torch.nn.functional.cosine_similarity(anchors[:, None], everyone[None], dim=2)
    powers = (cosines / 0.3).exp()
    expected = (powers.sum(dim=1).log() - powers[torch.arange(3), numbers].log()).sum()
    torch.testing.assert_close(info_nce_among_all(anchors, partners, everyone, 0.3), expected)


def test_rows_that_count_twice_count_twice():
    everyone, anchors, partners = tensor(9, 3), tensor(3, 3, seed=1), tensor(3, 3, seed=2)
    twice = info_nce_among_all(anchors, partners, everyone, 0.3, counts=torch.tensor([2, 1, 3]))
    numbers = torch.tensor([0, 1, 2, 2, 0, 2])
    torch.testing.assert_close(twice, info_nce_among_all(anchors[numbers], partners[numbers], everyone, 0.3))


def test_the_contrast_by_factors_is_computed_in_float32_within_autocast():
    factors = tensor(9, 2).float().requires_grad_(), tensor(2, 3, seed=2).float().requires_grad_()
    anchors = tensor(3, 3, seed=1).float()
    with torch.autocast("cpu", torch.bfloat16):
        everyone = factors[0] @ factors[1]
        value = info_nce_among_all(anchors, everyone[:3], everyone, 0.3, factors=factors)
    gradients = torch.autograd.grad(value, factors)
    assert value.dtype == torch.float32
    whole = factors[0] @ factors[1]
    expected = info_nce_among_all(anchors, whole[:3], whole, 0.3)
    torch.testing.assert_close(value, expected, rtol=0.02, atol=0.05)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, factors), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("temperature", [0.3, 0.01])
@pytest.mark.parametrize("rank", [2, 3, 5])
def test_the_contrast_among_all_is_the_same_by_factors(rank, temperature):
    factors = tensor(9, rank).requires_grad_(), tensor(rank, 3, seed=2).requires_grad_()
    anchors, numbers = tensor(3, 3, seed=1).requires_grad_(), torch.tensor([4, 4, 0])

    def outcome(given):
        everyone = factors[0] @ factors[1]
        value = info_nce_among_all(anchors, everyone[numbers], everyone, temperature, factors=given)
        return value, torch.autograd.grad(value, (anchors, *factors))

    torch.testing.assert_close(outcome(factors), outcome(None))
