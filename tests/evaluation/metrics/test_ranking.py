import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from flatrec.evaluation.metrics import METRICS
from tests.evaluation.metrics.cases import lists_of

# Three users, lists of three: hits at ranks 1 and 3 of 2 relevant items; none of 1; hits at ranks 2 and 3 of 5.
HITS = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 1]], dtype=torch.bool)
RELEVANT = torch.tensor([2, 1, 5])
SECOND = 1 / math.log2(3)  # what a hit at rank 2 is worth; rank 1 is worth 1, rank 3 1/2

BY_HAND = {
    "recall": [1, 0, 2 / 5],
    "precision": [2 / 3, 0, 2 / 3],
    "hit_rate": [1, 0, 1],
    "ndcg": [1.5 / (1 + SECOND), 0, (SECOND + 0.5) / (1 + SECOND + 0.5)],
    "map": [(1 + 2 / 3) / 2, 0, (1 / 2 + 2 / 3) / 3],
    "mrr": [1, 0, 1 / 2],
}


def measured(name, hits, relevant):
    return METRICS[name].compute(lists_of(torch.zeros(hits.shape, dtype=torch.int64), hits, relevant))


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_a_metric_says_whether_the_order_of_a_list_changes_it(name):
    changed = not torch.equal(measured(name, HITS, RELEVANT), measured(name, HITS.flip(1), RELEVANT))
    assert METRICS[name].depends_on_order is changed


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_three_users_as_worked_by_hand(name):
    values = measured(name, HITS, RELEVANT)
    assert values.dtype == torch.float64
    assert values.tolist() == pytest.approx(BY_HAND[name], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    # Only the first item of each list.
    [
        ("recall", [1 / 2, 0, 0]),
        ("precision", [1, 0, 0]),
        ("hit_rate", [1, 0, 0]),
        ("ndcg", [1, 0, 0]),
        ("map", [1, 0, 0]),
        ("mrr", [1, 0, 0]),
    ],
)
def test_lists_of_one(name, expected):
    assert measured(name, HITS[:, :1], RELEVANT).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_no_user_gives_no_value(name):
    assert measured(name, HITS[:0], RELEVANT[:0]).shape == (0,)


def brute_force(name, hits, relevant):
    k, found = len(hits), sum(hits)
    if name == "recall":
        return found / relevant
    if name == "precision":
        return found / k
    if name == "hit_rate":
        return float(found > 0)
    if name == "mrr":
        return next((1 / rank for rank, hit in enumerate(hits, start=1) if hit), 0.0)
    best = min(k, relevant)
    if name == "ndcg":
        gain = sum(1 / math.log2(rank + 1) for rank, hit in enumerate(hits, start=1) if hit)
        return gain / sum(1 / math.log2(rank + 1) for rank in range(1, best + 1))
    return sum(sum(hits[:rank]) / rank for rank in range(1, k + 1) if hits[rank - 1]) / best


@some.composite
def users(draw):
    """Hits of some users, and for each at least as many relevant items as hits."""
    k, n_users = draw(some.integers(1, 12)), draw(some.integers(1, 6))
    hits = draw(some.lists(some.lists(some.booleans(), min_size=k, max_size=k), min_size=n_users, max_size=n_users))
    return hits, [max(1, sum(row)) + draw(some.integers(0, 9)) for row in hits]


@pytest.mark.parametrize("name", sorted(BY_HAND))
@given(case=users())
def test_metrics_equal_their_definition_and_lie_between_0_and_1(name, case):
    hits, relevant = case
    values = measured(name, torch.tensor(hits), torch.tensor(relevant)).numpy()
    expected = [brute_force(name, row, number) for row, number in zip(hits, relevant, strict=True)]
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert ((values >= 0) & (values <= 1 + 1e-12)).all()


@pytest.mark.parametrize("name", sorted(BY_HAND))
@given(case=users())
def test_a_hit_further_up_is_never_worse(name, case):
    hits, relevant = torch.tensor(case[0]), torch.tensor(case[1])
    better = hits.long().sort(dim=1, descending=True).values.bool()
    assert (measured(name, better, relevant) >= measured(name, hits, relevant) - 1e-12).all()


@pytest.mark.parametrize("name", ["ndcg", "map", "mrr"])
@pytest.mark.parametrize("relevant", [1, 3, 9])
def test_the_best_list_has_1(name, relevant):
    best = torch.arange(5)[None] < relevant
    assert measured(name, best, torch.tensor([relevant])).item() == pytest.approx(1)
