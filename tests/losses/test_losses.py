"""Every ranking loss against values worked by hand, an independent computation in NumPy, and numerical gradients."""

import math

import numpy as np
import pytest
import torch

from flatrec.data.batches import Batch
from flatrec.losses import scores
from flatrec.losses.bce import BCELoss
from flatrec.losses.bpr import BPRLoss
from flatrec.losses.cosine_contrastive import CosineContrastiveLoss
from flatrec.losses.direct_au import DirectAULoss, uniformity
from flatrec.losses.softmax import SoftmaxLoss
from flatrec.models.losses import bpr_loss_of_differences

LOG_Q = torch.tensor([0.1, 0.2, 0.3, 0.25, 0.15], dtype=torch.float64).log()
USERS, ITEMS = torch.tensor([0, 1, 0, 2, 3]), torch.tensor([1, 3, 2, 3, 0])  # rows 0 and 2: a user, 1 and 3: an item


def tensor(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch_of(n_negatives=3, in_batch=False, log_q=None):
    drawn = torch.arange(5 * n_negatives).view(5, n_negatives) % 5
    return Batch(USERS, ITEMS, drawn, in_batch=in_batch, log_q=log_q)


def vectors(n_negatives=3):
    return [tensor(5, 4).requires_grad_(), tensor(5, 4, seed=1).requires_grad_(), tensor(5, n_negatives, 4, seed=2)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def unit(rows):
    return rows / np.sqrt((rows**2).sum(axis=-1, keepdims=True))


def by_rows(blocks, batch, row_loss, cosine=False, temperature=1.0, log_q=None):
    """The mean of a loss of one row's score and the list of its negatives' scores, by Python loops."""
    users, positives, negatives = (block.detach().numpy() for block in blocks)
    if cosine:
        users, positives, negatives = unit(users), unit(positives), unit(negatives)
    minus = np.zeros(5) if log_q is None else log_q.numpy()
    total = 0.0
    for row in range(len(users)):
        if batch.in_batch:
            others = [c for c in range(len(users)) if USERS[c] != USERS[row] and ITEMS[c] != ITEMS[row]]
            rivals = [(positives[c], int(ITEMS[c])) for c in others]
        else:
            rivals = list(zip(negatives[row], batch.negatives[row].tolist(), strict=True))
        own = users[row] @ positives[row] / temperature - minus[int(ITEMS[row])]
        total += row_loss(own, np.array([users[row] @ vector / temperature - minus[item] for vector, item in rivals]))
    return total / len(users)


def cross_entropy(own, others, smoothing=0.0):
    logits = np.array([own, *others])
    targets = np.full(len(logits), smoothing / len(logits))
    targets[0] += 1 - smoothing
    return -(targets * np.log(np.exp(logits) / np.exp(logits).sum())).sum()


def pairwise(own, others, smoothing=0.0):
    target = 1 - smoothing / 2
    return np.mean(-target * np.log(sigmoid(own - others)) - (1 - target) * np.log(sigmoid(others - own)))


def pointwise(own, others, smoothing=0.0, weight=1.0):
    high, low = 1 - smoothing / 2, smoothing / 2
    negatives = -low * np.log(sigmoid(others)) - high * np.log(sigmoid(-others))
    return -high * np.log(sigmoid(own)) - low * np.log(sigmoid(-own)) + weight * negatives.mean()


CASES = {
    "bpr": (BPRLoss(), pairwise, {}),
    "bpr smoothed": (BPRLoss(label_smoothing=0.2), lambda own, others: pairwise(own, others, 0.2), {}),
    "bce": (BCELoss(), pointwise, {}),
    "bce smoothed": (
        BCELoss(label_smoothing=0.2, negative_weight=3.0),
        lambda own, others: pointwise(own, others, 0.2, 3.0),
        {},
    ),
    "softmax": (SoftmaxLoss(temperature=0.7), cross_entropy, {"temperature": 0.7, "log_q": LOG_Q}),
    "softmax uncorrected": (SoftmaxLoss(log_q_correction=False), cross_entropy, {}),
    "softmax smoothed": (
        SoftmaxLoss(label_smoothing=0.3),
        lambda own, others: cross_entropy(own, others, 0.3),
        {"log_q": LOG_Q},
    ),
    "softmax of cosines": (
        SoftmaxLoss(temperature=0.2, cosine=True),
        cross_entropy,
        {"temperature": 0.2, "log_q": LOG_Q, "cosine": True},
    ),
    "ccl": (
        CosineContrastiveLoss(margin=0.1, negative_weight=5.0),
        lambda own, others: 1 - own + 5 * np.maximum(0, others - 0.1).mean(),
        {"cosine": True},
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.mark.parametrize(("n_negatives", "in_batch"), [(1, False), (3, False), (1, True)])
def test_each_loss_equals_its_definition_row_by_row(case, n_negatives, in_batch):
    loss, row_loss, options = case
    batch, blocks = batch_of(n_negatives, in_batch, LOG_Q), vectors(n_negatives)
    expected = by_rows(blocks, batch, row_loss, **options)
    assert loss(*blocks, batch).item() == pytest.approx(expected, abs=1e-10, rel=0)


@pytest.mark.parametrize(("n_negatives", "in_batch"), [(1, False), (3, False), (1, True)])
def test_each_gradient_equals_that_of_the_definition(case, n_negatives, in_batch):
    loss, row_loss, options = case
    batch, blocks = batch_of(n_negatives, in_batch, LOG_Q), vectors(n_negatives)
    blocks[2].requires_grad_()
    gradients = torch.autograd.grad(loss(*blocks, batch), blocks, allow_unused=True, materialize_grads=True)
    for block, gradient in zip(blocks, gradients, strict=True):
        flat = block.detach().view(-1)
        for place in range(0, len(flat), 3):
            kept, values = flat[place].item(), []
            for step in (-2e-4, -1e-4, 1e-4, 2e-4):  # a five-point stencil: an error of order step^4
                flat[place] = kept + step
                values.append(by_rows(blocks, batch, row_loss, **options))
            flat[place] = kept
            slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / 1.2e-3
            assert gradient.view(-1)[place].item() == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("in_batch", [False, True])
def test_each_loss_passes_the_numerical_checks_of_both_orders(case, in_batch):
    blocks, batch = [block.detach().requires_grad_() for block in vectors(2)], batch_of(2, in_batch, LOG_Q)
    read = blocks[:2] if in_batch else blocks

    def function(*given):
        return case[0](*given, *blocks[len(given) :], batch)

    assert torch.autograd.gradcheck(function, read)
    assert torch.autograd.gradgradcheck(function, read)


def test_blocks_of_rows_change_nothing(case, monkeypatch):
    outcomes = []
    for rows in (128, 2, 1):
        monkeypatch.setattr(scores, "BLOCK_ROWS", rows)
        blocks = vectors(1)
        value = case[0](*blocks, batch_of(1, True, LOG_Q))
        outcomes.append([value, *torch.autograd.grad(value, blocks[:2])])
    torch.testing.assert_close(outcomes[1], outcomes[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(outcomes[2], outcomes[0], rtol=1e-12, atol=1e-12)


# Scores of one user with vector 1: positive 2, negatives 0 and 1.
HAND = [torch.ones(1, 1), torch.full((1, 1), 2.0), torch.tensor([[[0.0], [1.0]]])]
BY_HAND = [
    (BPRLoss(), (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2),
    (BPRLoss(label_smoothing=0.5), (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2 + 0.25 * 1.5),
    (BCELoss(), math.log1p(math.exp(-2)) + (math.log(2) + math.log1p(math.e)) / 2),
    (SoftmaxLoss(), math.log(1 + math.exp(-2) + math.exp(-1))),
    (SoftmaxLoss(temperature=0.5), math.log(1 + math.exp(-4) + math.exp(-2))),
    (SoftmaxLoss(label_smoothing=0.3), math.log(1 + math.exp(-2) + math.exp(-1)) + 0.3 * (2 - 1)),
    (CosineContrastiveLoss(margin=0.4, negative_weight=10.0), 0 + 10 * (0 + 0.6) / 2),
]


@pytest.mark.parametrize(("loss", "expected"), BY_HAND)
def test_each_loss_is_as_worked_by_hand(loss, expected):
    batch = Batch(torch.tensor([0]), torch.tensor([0]), torch.tensor([[1, 2]]))
    assert loss(*(block.double() for block in HAND), batch).item() == pytest.approx(expected, abs=1e-10, rel=0)


def test_in_batch_softmax_of_two_rows_is_as_worked_by_hand():
    # Scores [[2, 1], [0, 3]]; q of items 0 and 1 is 1/4 and 3/4.
    users = torch.eye(2, dtype=torch.float64)
    positives = torch.tensor([[2.0, 0.0], [1.0, 3.0]], dtype=torch.float64)
    log_q = torch.tensor([0.25, 0.75], dtype=torch.float64).log()
    batch = Batch(torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([[1], [0]]), in_batch=True, log_q=log_q)
    first = math.log(1 + (math.exp(1) / 0.75) / (math.exp(2) / 0.25))
    second = math.log(1 + (1 / 0.25) / (math.exp(3) / 0.75))
    value = SoftmaxLoss()(users, positives, positives[:, None], batch)
    assert value.item() == pytest.approx((first + second) / 2, abs=1e-10, rel=0)


def test_in_batch_rows_of_one_user_or_one_item_are_no_negatives_of_each_other():
    users, positives = tensor(2, 3), tensor(2, 3, seed=1)
    for indices in (([7, 7], [0, 1]), ([0, 1], [4, 4])):
        batch = Batch(*(torch.tensor(column) for column in indices), torch.tensor([[2], [2]]), in_batch=True)
        assert SoftmaxLoss()(users, positives, positives[:, None], batch).item() == 0
        assert BPRLoss()(users, positives, positives[:, None], batch).item() == 0
        expected = torch.nn.functional.softplus(-(users * positives).sum(dim=1)).mean()
        torch.testing.assert_close(BCELoss()(users, positives, positives[:, None], batch), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_softmax_with_one_negative_is_bpr(smoothing):
    blocks, batch = vectors(1), batch_of(1)
    outcomes = [
        (value, *torch.autograd.grad(value, blocks[:2]))
        for loss in (SoftmaxLoss(label_smoothing=smoothing), BPRLoss(label_smoothing=smoothing))
        for value in [loss(*blocks, batch)]
    ]
    torch.testing.assert_close(*outcomes, rtol=1e-12, atol=1e-12)


def test_bpr_with_one_negative_is_bit_equal_to_the_function():
    blocks = [block.float() for block in vectors(1)]
    assert torch.equal(BPRLoss()(*blocks, batch_of(1)), bpr_loss_of_differences(blocks[0], blocks[1] - blocks[2][:, 0]))


def test_a_correction_that_is_the_same_for_all_items_cancels():
    blocks = vectors()
    same = torch.full((5,), -1.7, dtype=torch.float64)
    outcomes = [SoftmaxLoss()(*blocks, batch_of(log_q=log_q)) for log_q in (None, same)]
    torch.testing.assert_close(*outcomes, rtol=1e-12, atol=0)


def test_direct_au_equals_its_definition_and_passes_the_numerical_checks():
    blocks, batch = vectors(1), batch_of(1)
    users, positives = (unit(block.detach().numpy()) for block in blocks[:2])
    uniform = [
        math.log(np.mean([math.exp(-2 * ((x[i] - x[j]) ** 2).sum()) for j in range(5) for i in range(j)]))
        for x in (users, positives)
    ]
    expected = ((users - positives) ** 2).sum(axis=1).mean() + 0.3 * sum(uniform) / 2
    assert DirectAULoss(gamma=0.3)(*blocks, batch).item() == pytest.approx(expected, abs=1e-10, rel=0)

    def function(*given):
        return DirectAULoss(gamma=0.3)(*given, blocks[2], batch)

    assert torch.autograd.gradcheck(function, blocks[:2])
    assert torch.autograd.gradgradcheck(function, blocks[:2])


def test_direct_au_is_as_worked_by_hand():
    # Users at a right angle: squared distance 2. Positives opposite: 4. Alignment: 0 and 2.
    users = torch.tensor([[3.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    positives = torch.tensor([[5.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    assert uniformity(users / users.norm(dim=1, keepdim=True)).item() == pytest.approx(-4, abs=1e-10)
    batch = Batch(torch.arange(2), torch.arange(2), torch.ones(2, 1, dtype=torch.int64))
    value = DirectAULoss(gamma=0.5)(users, positives, positives[:, None], batch)
    assert value.item() == pytest.approx(1 + 0.5 * (-4 - 8) / 2, abs=1e-10)


def test_direct_au_of_one_interaction_is_its_alignment():
    batch = Batch(torch.tensor([0]), torch.tensor([0]), torch.tensor([[1]]))
    value = DirectAULoss()(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.ones(1, 1, 2), batch)
    assert value.item() == 2


@pytest.mark.parametrize("flag", ["in_batch", "hardest"])
def test_direct_au_refuses_a_sampling_that_would_have_no_effect(flag):
    batch = Batch(USERS, ITEMS, ITEMS[:, None], **{flag: True})
    with pytest.raises(ValueError, match=r"directau reads no negatives.*leave sampling\.name at uniform"):
        DirectAULoss()(*vectors(1), batch)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (SoftmaxLoss, {"temperature": 0.0}, "temperature must be above 0"),
        (BPRLoss, {"label_smoothing": 1.0}, r"label_smoothing must lie in \[0, 1\)"),
        (CosineContrastiveLoss, {"margin": 1.5}, r"margin must lie in \[-1, 1\]"),
        (BCELoss, {"negative_weight": -1.0}, "negative_weight must be at least 0"),
        (DirectAULoss, {"gamma": -1.0}, "gamma must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)


@pytest.mark.parametrize("in_batch", [False, True])
def test_scores_far_apart_give_finite_losses_and_gradients(case, in_batch):
    blocks = [(1e4 * block.detach()).float().requires_grad_() for block in vectors(3)]
    value = case[0](*blocks, batch_of(3, in_batch, LOG_Q.float()))
    gradients = torch.autograd.grad(value, blocks[:2])
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_autocast_does_not_lower_the_precision_of_scores(case):
    blocks, batch = [block.detach().float() for block in vectors(3)], batch_of(3, True, LOG_Q.float())
    expected = case[0](*blocks, batch)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(case[0](*blocks, batch), expected)
