"""The penalties against gradients worked by hand, in float64."""

import pytest
import torch

from flatrec.losses.penalties import norm_penalty, squared_penalty

TABLE = torch.tensor([[1.0, -2.0], [0.5, 3.0], [4.0, 0.25], [-1.0, 2.0], [2.0, 2.0]], dtype=torch.float64)
USERS, POSITIVES = torch.tensor([0, 0, 1]), torch.tensor([2, 3, 3])
NEGATIVES = torch.tensor([[3, 4], [4, 4], [2, 4]])


def loss_and_gradient(penalty, negatives):
    table = TABLE.clone().requires_grad_()
    loss = penalty(table[USERS], table[POSITIVES], table[negatives])
    return loss.item(), torch.autograd.grad(loss, table)[0]


def test_the_squared_penalty_is_as_worked_by_hand():
    # Squares of the rows: 5, 9.25, 16.0625, 5, 8.
    loss, gradient = loss_and_gradient(squared_penalty, NEGATIVES[:, 0])
    assert loss == pytest.approx((19.25 + 26.0625 + 29.0625) / 6, abs=1e-10)
    occurrences = torch.tensor([2, 1, 1 + 1, 2 + 1, 1], dtype=torch.float64)
    torch.testing.assert_close(gradient, occurrences[:, None] * TABLE / 3, rtol=0, atol=1e-10)


def test_each_of_n_negatives_pulls_with_a_part_of_the_weight():
    loss, gradient = loss_and_gradient(squared_penalty, NEGATIVES)
    assert loss == pytest.approx((19.25 + 26.0625 + (5 + 8 + 8 + 8 + 16.0625 + 8) / 2) / 6, abs=1e-10)
    occurrences = torch.tensor([2, 1, 1 + 1 / 2, 2 + 1 / 2, 4 / 2], dtype=torch.float64)
    torch.testing.assert_close(gradient, occurrences[:, None] * TABLE / 3, rtol=0, atol=1e-10)


@pytest.mark.parametrize("penalty", [norm_penalty, squared_penalty])
def test_one_negative_is_the_same_with_and_without_its_axis(penalty):
    one, other = (loss_and_gradient(penalty, negatives) for negatives in (NEGATIVES[:, 0], NEGATIVES[:, :1]))
    assert one[0] == other[0]
    assert torch.equal(one[1], other[1])


def test_the_norm_penalty_is_as_worked_by_hand():
    loss, gradient = loss_and_gradient(norm_penalty, NEGATIVES[:, 0])
    norms = [19.25**0.5, 26.0625**0.5, 29.0625**0.5]
    assert loss == pytest.approx(sum(norms) / 3, abs=1e-10)
    pulls = torch.tensor(
        [2 / norms[0], 1 / norms[0], 1 / norms[1] + 1 / norms[2], 2 / norms[1] + 1 / norms[2], 1 / norms[2]],
        dtype=torch.float64,
    )
    torch.testing.assert_close(gradient, pulls[:, None] * TABLE / 3, rtol=0, atol=1e-10)


def test_rows_may_differ_in_width_and_a_block_without_columns_counts_nothing():
    users, nothing = TABLE[:2, :1], TABLE.new_empty(2, 0)
    assert squared_penalty(users, nothing, nothing).item() == pytest.approx((1 + 0.25) / 4, abs=1e-10)
