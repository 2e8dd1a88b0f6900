import math

import pytest
import torch

from flatrec.evaluation.metrics import METRICS, beyond_accuracy
from tests.evaluation.metrics.cases import features_of, interactions_of, listed

# Three users; items 0 to 3 have 3, 2, 1 and 0 training interactions.
TRAIN = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (0, 2)]
DATA = interactions_of(TRAIN, [(0, 3), (1, 2), (2, 1)], 3, 4)


def compute(name, rows, **options):
    return METRICS[name].compute(listed(rows, DATA, **options))


def test_coverage_and_popularity_are_those_of_all_lists_together():
    assert compute("item_coverage", [[0, 2], [2, -1]]) == 2 / 4
    assert compute("avg_popularity", [[0, 2], [2, -1]]) == (3 + 1 + 1) / 3
    assert compute("item_coverage", [[-1, -1]]) == compute("avg_popularity", [[-1, -1]]) == 0


@pytest.mark.parametrize(
    ("rows", "gini"),
    [
        ([[0, 1], [2, 3]], 0),  # each item once
        ([[2], [2], [2]], 1 - 1 / 4),  # one item fills all lists
        ([[0, 1], [0, 1], [0, 2]], (-3 * 0 - 1 * 1 + 1 * 2 + 3 * 3) / (4 * 6)),  # 0, 1, 2 and 3 times
        ([[0, -1], [1, -1]], (1 + 3) / (4 * 2)),  # 0, 0, 1, 1; empty places do not count
        ([[-1, -1]], 0),
    ],
)
def test_gini_is_the_inequality_of_how_often_items_are_listed(rows, gini):
    assert compute("gini", rows) == pytest.approx(gini, abs=1e-15)


def test_novelty_is_the_mean_self_information_of_a_list():
    # Fractions of users 1, 2/3 and 1/3; the item without a training interaction counts as if it had one.
    values = compute("novelty", [[0, 1], [2, 3], [1, -1]])
    assert values.tolist() == pytest.approx([math.log2(3 / 2) / 2, math.log2(3), math.log2(3 / 2)], rel=1e-12)
    assert compute("novelty", [[-1, -1]]).isnan().all()


def test_novelty_counts_only_users_with_a_training_interaction():
    more = interactions_of(TRAIN, [(0, 3), (1, 2), (2, 1), (3, 0), (4, 0)], 5, 4)  # two users without
    assert METRICS["novelty"].compute(listed([[1]], more)).item() == pytest.approx(math.log2(3 / 2))


IMAGES = features_of([[1, 0], [0, 2], [3, 3], None])
TEXTS = features_of([[1, 0, 0], [-5, 0, 0], [0, 0, 0], [0, 1, 0]])


def test_diversity_is_the_mean_cosine_distance_of_all_pairs():
    half = math.sqrt(0.5)
    values = compute("intra_list_diversity", [[0, 1], [0, 2], [2, 1]], features={"image": IMAGES})
    assert values.tolist() == pytest.approx([1, 1 - half, 1 - half], abs=1e-6)
    of_three = compute("intra_list_diversity", [[2, 0, 1]], features={"image": IMAGES})
    assert of_three.item() == pytest.approx((1 + 2 * (1 - half)) / 3, abs=1e-6)


def test_items_without_direction_or_modality_are_left_out_and_single_items_have_no_diversity():
    # Item 3 has no image; the text of item 2 is all zero.
    values = compute("intra_list_diversity", [[0, 3, 1], [0, 3, -1], [-1, -1, -1]], features={"image": IMAGES})
    assert values[0].item() == pytest.approx(1)
    assert values[1:].isnan().all()
    assert compute("intra_list_diversity", [[0, 2]], features={"text": TEXTS}).isnan().all()


def test_modalities_that_two_items_have_are_averaged_with_equal_weights():
    both = {"image": IMAGES, "text": TEXTS}
    values = compute("intra_list_diversity", [[0, 1, -1], [0, 3, -1], [0, 1, 3]], features=both)
    # Opposite texts are 2 apart; of items 0 and 3 only the text is known; of 0, 1 and 3 the texts are 2, 1 and 1 apart.
    assert values.tolist() == pytest.approx([(1 + 2) / 2, 1, (1 + 4 / 3) / 2], abs=1e-6)


def test_equal_items_have_no_diversity_and_very_long_or_short_features_count_as_others_do():
    tiny = features_of([[1e-30, 2e-30], [2e-30, 4e-30], [3e30, 6e30], [2.0, -1.0]])
    values = compute("intra_list_diversity", [[0, 1], [1, 2], [2, 3]], features={"image": tiny})
    assert values.tolist() == pytest.approx([0, 0, 1], abs=1e-6)


@pytest.mark.parametrize("block", [1, 7, 100])
def test_diversity_does_not_depend_on_the_size_of_blocks(monkeypatch, block):
    rows = torch.randint(-1, 4, (20, 3), generator=torch.Generator().manual_seed(0)).tolist()
    data = interactions_of(TRAIN, [(user, 3) for user in range(20)], 20, 4)
    lists = listed(rows, data, features={"image": IMAGES, "text": TEXTS})
    whole = METRICS["intra_list_diversity"].compute(lists)
    monkeypatch.setattr(beyond_accuracy, "BLOCK_VALUES", block)
    torch.testing.assert_close(
        METRICS["intra_list_diversity"].compute(lists), whole, equal_nan=True, rtol=1e-6, atol=1e-6
    )
