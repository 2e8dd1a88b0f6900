import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from flatrec.ops import topk
from flatrec.ops.topk import grouped_topk, stable_topk, topk_by_keys


@given(
    seed=some.integers(0, 2**32 - 1),
    n_columns=some.integers(1, 150),
    k=some.integers(1, 9),
    levels=some.sampled_from([0, 1, 5, 1000]),
    masked=some.sampled_from([0.0, 0.3, 0.98]),
    group=some.sampled_from([2, 3, 8, 1000]),
)
def test_the_largest_come_first_and_of_equal_ones_the_lower_column(seed, n_columns, k, levels, masked, group):
    stream, k = np.random.default_rng(seed), min(k, n_columns)
    scores = (
        stream.integers(-levels, levels, (5, n_columns), endpoint=True) if levels else stream.random((5, n_columns))
    )
    scores = np.where(stream.random(scores.shape) < masked, -np.inf, scores).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    expected = np.take_along_axis(scores, order, axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topk, "GROUP", group)
        values, columns = stable_topk(torch.from_numpy(scores), k)
        unordered, _ = grouped_topk(torch.from_numpy(scores), k, ordered=False)
        by_keys = topk_by_keys(torch.from_numpy(scores), k)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(
        np.where(np.isneginf(expected), -1, columns), np.where(np.isneginf(expected), -1, order)
    )
    np.testing.assert_array_equal(by_keys[0], expected)
    np.testing.assert_array_equal(by_keys[1], order)
    np.testing.assert_array_equal(unordered.sort(dim=1, descending=True).values, expected)


def test_zeros_of_either_sign_are_equal():
    _, columns = stable_topk(torch.tensor([[-0.0, 0.0, -1.0, -0.0]]), 3)
    assert columns.tolist() == [[0, 1, 3]]


def test_nan_is_refused():
    with pytest.raises(ValueError, match="scores must be numbers, but some are NaN"):
        stable_topk(torch.tensor([[1.0, torch.nan]]), 1)


def test_on_another_device_nan_comes_first_and_nothing_is_asked():
    negative = torch.tensor([-1], dtype=torch.int32).view(torch.float32)  # NaN, and its sign is minus
    scores = torch.tensor([[1.0, torch.inf, torch.nan, 0.0]])
    assert topk_by_keys(scores, 2)[1].tolist() == [[2, 1]]
    assert topk_by_keys(torch.cat([scores, negative[None]], dim=1)[:, [0, 1, 4]], 2)[1].tolist() == [[2, 1]]
    values, columns = stable_topk(torch.zeros(2, 5, device="meta"), 3)
    assert values.shape == columns.shape == (2, 3)
