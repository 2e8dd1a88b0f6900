import numpy as np
import pytest
import torch

from flatrec.evaluation import evaluate_scorer
from flatrec.evaluation.metrics import METRICS
from tests.evaluation.metrics.cases import interactions_of, listed

NAMES = ("recall_low_activity", "recall_mid_activity", "recall_high_activity")

# Ten items with 5, 4, 3, 2, 1, 1, 1, 1, 1 and 0 training interactions of users 0 to 4: eight items have at most 3.
COUNTS = (5, 4, 3, 2, 1, 1, 1, 1, 1, 0)
TRAIN = [(user, item) for item, count in enumerate(COUNTS) for user in range(count)]


def test_the_tail_are_the_items_outside_the_most_popular_fifth():
    data = interactions_of(TRAIN, [(5, 0)], 6, 10)
    assert listed([[0]], data).data.tail.tolist() == [False] * 2 + [True] * 8


def test_equally_popular_items_are_on_the_same_side_of_the_bound():
    ties = interactions_of([(user, item) for item in range(5) for user in range(2)], [(0, 5)], 2, 6)
    assert listed([[0]], ties).data.tail.all()


def test_tail_recall_is_over_relevant_items_of_the_tail_alone():
    # User 0 has items 0 and 9, of which 9 is of the tail; user 1 has 2, 3, 4 and 1; user 2 has item 0 alone.
    users = [(user + 6, item) for user, item in TRAIN]
    test = [(0, 0), (0, 9), (1, 1), (1, 2), (1, 3), (1, 4), (2, 0)]
    lists = listed([[0, 9, 5], [1, 3, -1], [0, 1, 2]], interactions_of(users, test, 11, 10))
    values = METRICS["tail_recall"].compute(lists)
    assert values[:2].tolist() == pytest.approx([1, 1 / 3])
    assert values[2:].isnan().all()


def of_activity(counts, n_items=9):
    """A user for each number of training interactions, with the last item in test."""
    train = [(user, item) for user, count in enumerate(counts) for item in range(count)]
    return interactions_of(train, [(user, n_items - 1) for user in range(len(counts))], len(counts), n_items)


@pytest.mark.parametrize(
    ("counts", "groups"),
    [
        ([1, 2, 3, 4, 5, 6], "llmmhh"),
        ([6, 1, 5, 2, 4, 3], "hlhlmm"),
        ([0, 1, 2, 3], "llmh"),  # who has none does not move the bounds
        ([3, 3, 3, 3], "llll"),
        ([1, 3, 3, 3, 3, 8], "lllllh"),  # nobody is in the middle
        ([0, 0], "ll"),
    ],
)
def test_users_are_in_the_third_of_their_number_of_training_interactions(counts, groups):
    activity = listed([[8]] * len(counts), of_activity(counts)).data.activity
    assert {name: group.tolist() for name, group in activity.items()} == {
        name: [letter == name[0] for letter in groups] for name in ("low", "mid", "high")
    }


def test_each_group_has_the_recall_of_its_users():
    lists = listed([[8], [0], [8], [8], [0], [8]], of_activity([1, 2, 3, 4, 5, 6]))
    values = [METRICS[name].compute(lists).numpy() for name in NAMES]
    assert [np.nanmean(one) for one in values] == [1 / 2, 1, 1 / 2]
    assert [np.isnan(one).sum() for one in values] == [4, 4, 4]


def test_who_has_no_value_is_left_out_of_the_mean_and_counted():
    data = of_activity([1, 3, 3, 3, 3, 8])
    scores = np.zeros((6, 9), dtype=np.float32)
    scores[[0, 5], 8] = 1  # hits for the first and the last user
    result = evaluate_scorer(lambda users: torch.from_numpy(scores)[users], data, split="test", ks=(1,), metrics=NAMES)
    assert result.metrics == {"recall_low_activity@1": 1 / 5, "recall_high_activity@1": 1}
    assert result.n_undefined == {"recall_low_activity@1": 1, "recall_mid_activity@1": 6, "recall_high_activity@1": 5}
    assert result.per_user["recall_mid_activity@1"].isnan().all()
