"""Which known items a new one is likened to, and how much they count."""

from __future__ import annotations

import numpy as np
import pytest

from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference import nearest_items as module
from flatrec.inference.known_items import KnownItems
from flatrec.inference.nearest_items import neighbor_weights


def whole(values):
    values = np.asarray(values, dtype=np.float32)
    return Features(values, np.ones(len(values), dtype=bool))


def known_items(items, **features):
    """Known items, of which one user has a training interaction with the given ones."""
    n_items = len(next(iter(features.values())).values)
    pairs = Interactions(np.zeros(len(items), dtype=int), np.array(items), np.zeros(len(items), dtype=int), 1, n_items)
    names = Vocabulary("item", [f"i{n}" for n in range(n_items)])
    return KnownItems.of(Dataset("tiny", pairs, Vocabulary("user", ["u"]), names, features))


def dense(*arguments, **options):
    return neighbor_weights(*arguments, **options).toarray()


def test_neighbors_count_by_their_cosine():
    known = known_items([0, 1, 2], text=whole([[1, 0], [3, 4], [0, -2]]))
    found = dense(known, {"text": whole([[5, 0]])}, 2)
    np.testing.assert_allclose(found, [[1 / 1.6, 0.6 / 1.6, 0]], atol=1e-8)


def test_one_that_points_away_counts_nothing_and_where_all_do_they_count_alike():
    known = known_items([0, 1], text=whole([[-1, 0], [1, 1]]))
    np.testing.assert_allclose(dense(known, {"text": whole([[1, 0]])}, 2), [[0, 1]], atol=1e-8)
    np.testing.assert_allclose(dense(known, {"text": whole([[1, -3]])}, 2), [[0.5, 0.5]], atol=1e-8)
    np.testing.assert_allclose(dense(known, {"text": whole([[1, -3]])}, 1), [[1, 0]], atol=1e-8)


def test_items_without_a_training_pair_are_no_neighbors():
    known = known_items([1], text=whole([[1, 0], [0.1, 1]]))
    np.testing.assert_array_equal(dense(known, {"text": whole([[1, 0]])}, 2), [[0, 1]])


def test_of_equal_rows_the_first_counts():
    known = known_items([0, 1, 2, 3], text=whole([[0, 1], [2, 0], [1, 0], [1, 0]]))
    np.testing.assert_allclose(dense(known, {"text": whole([[7, 0]])}, 2), [[0, 0.5, 0.5, 0]], atol=1e-8)


def test_images_count_a_tenth_and_whole_where_there_is_nothing_else():
    present = np.array([True, False, True])
    known = known_items([0, 1], image=whole([[1, 0], [0, 1]]), text=whole([[1, 0], [0, 1]]))
    new = {"image": whole([[1, 0]] * 3), "text": Features(np.array([[0, 1]] * 3, dtype=np.float32), present)}
    np.testing.assert_allclose(dense(known, new, 1), [[0.1, 0.9], [1, 0], [0.1, 0.9]], atol=1e-8)


def test_a_row_of_zeros_is_a_missing_modality():
    known = known_items([0, 1], image=whole([[1, 0], [0, 1]]), text=whole([[0, 0], [0, 1]]))
    new = {"image": whole([[1, 0], [0, 0]]), "text": whole([[0, 0], [0, 0]])}
    np.testing.assert_allclose(dense(known, new, 2), [[1, 0], [0, 0]], atol=1e-8)


def test_blocks_change_nothing_and_it_is_what_dense_algebra_says(monkeypatch):
    noise = np.random.default_rng(0)
    rows = noise.standard_normal((40, 5)).astype(np.float32)
    rows[20:30] = rows[10:20]  # ties within and across blocks
    trained = np.arange(1, 40)
    known, new = known_items(trained.tolist(), text=whole(rows)), whole(noise.standard_normal((23, 5)))
    found = dense(known, {"text": new}, 6)
    monkeypatch.setattr(module, "BLOCK_COLUMNS", 7)
    monkeypatch.setattr(module, "BLOCK_ENTRIES", 21)
    np.testing.assert_array_equal(dense(known, {"text": new}, 6), found)
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (new.values.astype(float), rows.astype(float))]
    for row, cosines in zip(found, unit[0] @ unit[1].T, strict=True):
        best = trained[np.argsort(-cosines[trained].round(9), kind="stable")[:6]]
        expected = np.zeros(40)
        expected[best] = cosines[best].clip(0) / cosines[best].clip(0).sum()
        np.testing.assert_allclose(row, expected, atol=1e-7)


def test_more_neighbors_than_there_are_items_are_all_of_them():
    known = known_items([0, 1], text=whole([[1, 0], [1, 1]]))
    assert (dense(known, {"text": whole([[1, 0]])}, 50) > 0).all()


def test_no_neighbor_is_refused():
    known = known_items([0], text=whole([[1, 0]]))
    with pytest.raises(ValueError, match="n_neighbors must be at least 1, but is 0"):
        neighbor_weights(known, {"text": whole([[1, 0]])}, 0)


def test_a_known_item_that_is_treated_as_new_is_no_neighbor_of_itself():
    known = known_items([0, 1, 2, 3], text=whole([[1, 0], [1, 0], [3, 4], [0, -1]]))
    itself = np.array([0, 2, 1])
    found = dense(known, {"text": known.features["text"].take(itself)}, 2, itself=itself)
    np.testing.assert_allclose(
        found, [[0, 1 / 1.6, 0.6 / 1.6, 0], [0.5, 0.5, 0, 0], [1 / 1.6, 0, 0.6 / 1.6, 0]], atol=1e-8
    )


def test_an_item_whose_only_neighbor_would_be_itself_has_none():
    known = known_items([0], text=whole([[1, 0]]))
    np.testing.assert_array_equal(dense(known, {"text": whole([[1, 0]])}, 3, itself=np.array([0])), [[0]])
