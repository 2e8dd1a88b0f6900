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
    small=some.sampled_from([0, 2**14]),
)
def test_the_largest_come_first_and_of_equal_ones_the_lower_column(seed, n_columns, k, levels, masked, group, small):
    stream, k = np.random.default_rng(seed), min(k, n_columns)
    scores = (
        stream.integers(-levels, levels, (5, n_columns), endpoint=True) if levels else stream.random((5, n_columns))
    )
    scores = np.where(stream.random(scores.shape) < masked, -np.inf, scores).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    expected = np.take_along_axis(scores, order, axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topk, "GROUP", group)
        patch.setattr(topk, "SMALL", small)
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


NEGATIVE_NAN = torch.tensor([-1], dtype=torch.int32).view(torch.float32)


@pytest.mark.parametrize("value", [torch.tensor([torch.nan]), NEGATIVE_NAN])
@pytest.mark.parametrize("column", [0, 17, 40, 41])
@pytest.mark.parametrize("small", [0, 2**14])
def test_nan_is_refused_wherever_it_stands(value, column, small, monkeypatch):
    monkeypatch.setattr(topk, "SMALL", small)
    scores = torch.arange(84.0).reshape(2, 42)  # five groups and two columns more
    scores[1, column] = value
    with pytest.raises(ValueError, match="scores must be numbers, but some are NaN"):
        stable_topk(scores, 2)


def test_rows_of_many_equal_scores_are_searched_beside_others(monkeypatch):
    monkeypatch.setattr(topk, "SMALL", 0)
    scores = np.random.default_rng(0).random((3, 1000)).astype(np.float32)
    scores[1], scores[2] = 0.5, -np.inf
    scores[2, [7, 3]] = 0.25
    values, columns = stable_topk(torch.from_numpy(scores), 3)
    assert columns[0].tolist() == np.argsort(-scores[0], kind="stable")[:3].tolist()
    assert columns[1].tolist() == [0, 1, 2]
    assert columns[2, :2].tolist() == [3, 7]
    assert values[1:].tolist() == [[0.5] * 3, [0.25, 0.25, -np.inf]]


def test_on_another_device_nan_comes_first_and_nothing_is_asked():
    scores = torch.tensor([[1.0, torch.inf, torch.nan, 0.0]])
    assert topk_by_keys(scores, 2)[1].tolist() == [[2, 1]]
    assert topk_by_keys(torch.cat([scores, NEGATIVE_NAN[None]], dim=1)[:, [0, 1, 4]], 2)[1].tolist() == [[2, 1]]
    values, columns = stable_topk(torch.zeros(2, 5, device="meta"), 3)
    assert values.shape == columns.shape == (2, 3)
