"""Scores without the class of a model: each way to ask gives the same numbers, here from dense algebra in float64."""

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.models.scoring import ItemMatrix, ItemScores, UserMatrix, Vectors

CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def weights(n_users, n_items, seed=0):
    """Weights of 1.5 to 4 for a third of all pairs; the last item has none."""
    generator = np.random.default_rng(seed)
    matrix = np.where(generator.random((n_users, n_items)) < 1 / 3, generator.uniform(1.5, 4, (n_users, n_items)), 0)
    matrix[:, -1] = 0
    return matrix.astype(np.float32)


class TestVectors:
    def test_scores_are_inner_products_and_similarities_cosines(self):
        users, items = drawn(4, 3), 5 * drawn(6, 3, seed=1)
        scoring = Vectors(torch.from_numpy(users), torch.from_numpy(items))
        np.testing.assert_allclose(scoring.scores(torch.tensor([2, 0])), users[[2, 0]] @ items.T, **CLOSE)
        unit = items / np.linalg.norm(items, axis=1, keepdims=True)
        np.testing.assert_allclose(scoring.item_similarities(4), unit @ unit[4], **CLOSE)

    def test_products_of_columns_are_added_up_in_double_precision_in_blocks(self, monkeypatch):
        monkeypatch.setattr("flatrec.models.scoring.BLOCK_ROWS", 4)
        items = 1e4 * drawn(10, 3)
        gram = Vectors(torch.from_numpy(drawn(2, 3)), torch.from_numpy(items)).gram
        np.testing.assert_allclose(gram, items.T.astype(np.float64) @ items.astype(np.float64), rtol=1e-12)

    @pytest.mark.repeats  # the annotations would refuse them first
    def test_widths_that_differ_are_refused(self):
        with pytest.raises(ValueError, match="same width, but have 3 and 4 columns"):
            Vectors(torch.zeros(2, 3), torch.zeros(5, 4))
        with pytest.raises(ValueError, match=r"shape of the items, \(5, 3\), but are of shape \(4, 3\)"):
            Vectors(torch.zeros(2, 3), torch.zeros(5, 3), torch.zeros(4, 3))


@pytest.mark.parametrize("kind", [sparse.csr_array, np.asarray])
class TestItemMatrix:
    @pytest.fixture
    def similarities(self):
        """Not symmetric, zero on the diagonal."""
        matrix = drawn(7, 7, seed=2)
        np.fill_diagonal(matrix, 0)
        return matrix

    def test_every_way_to_ask_gives_the_same_scores(self, kind, similarities):
        profiles = weights(5, 7)
        scoring = ItemMatrix(sparse.csr_array(profiles), kind(similarities))
        expected = profiles.astype(np.float64) @ similarities
        np.testing.assert_allclose(scoring.scores(torch.tensor([4, 1])), expected[[4, 1]], **CLOSE)
        for item in range(7):
            np.testing.assert_allclose(scoring.scores_of_item(slice(1, 4), item), expected[1:4, item], **CLOSE)

    def test_similarities_are_those_of_the_row_and_of_an_item_to_itself_one(self, kind, similarities):
        scoring = ItemMatrix(sparse.csr_array(weights(5, 7)), kind(similarities))
        row = similarities[3].copy()
        row[3] = 1
        np.testing.assert_array_equal(scoring.item_similarities(3), row)
        assert not scoring.similarities[[3]][:, [3]].any() if kind is np.asarray else scoring.similarities[3, 3] == 0
        between = scoring.similarities_between(np.array([5, 0]), np.array([1, 2, 6]))
        np.testing.assert_array_equal(between, similarities[np.ix_([5, 0], [1, 2, 6])])

    def test_another_number_of_items_is_refused(self, kind, similarities):
        with pytest.raises(ValueError, match=r"matrix of 6 by 6 items, but have shape \(7, 7\)"):
            ItemMatrix(sparse.csr_array(weights(5, 6)), kind(similarities))


def test_a_history_gets_as_many_similar_users_as_is_said():
    profiles = sparse.csr_array(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float32))
    scoring = UserMatrix(profiles, sparse.csr_array((3, 3), dtype=np.float32), n_neighbors=1, shrinkage=0.0)
    history = sparse.csr_array(np.array([[1, 1, 0]], dtype=np.float32))
    np.testing.assert_allclose(scoring.of_histories(history).scores(torch.tensor([0])), [[1, 1, 0]], rtol=1e-6)
    both = UserMatrix(profiles, scoring.similarities, n_neighbors=2, shrinkage=0.0).of_histories(history)
    np.testing.assert_allclose(both.scores(torch.tensor([0])), [[1 + 0.5**0.5, 1, 0]], rtol=1e-6)


def test_scores_of_all_users_are_the_same_and_near_scores_similar():
    scoring = ItemScores(torch.tensor([3.0, 5, 1]), 4)
    assert scoring.scores(torch.tensor([3, 0])).tolist() == [[3, 5, 1], [3, 5, 1]]
    assert scoring.item_similarities(0).tolist() == [0, -2, -2]


class TestUserMatrix:
    @pytest.fixture
    def scoring(self):
        similarities = np.abs(drawn(4, 5, seed=3))
        return UserMatrix(sparse.csr_array(weights(5, 7)), sparse.csr_array(similarities), 2, 3.0)

    def test_every_way_to_ask_gives_the_same_scores(self, scoring):
        expected = scoring.similarities.toarray().astype(np.float64) @ scoring.profiles.toarray()
        np.testing.assert_allclose(scoring.scores(torch.tensor([3, 1])), expected[[3, 1]], **CLOSE)
        np.testing.assert_allclose(scoring.of_user(2).scores(torch.tensor([0])), expected[[2]], **CLOSE)
        for item in range(7):
            np.testing.assert_allclose(scoring.scores_of_item(slice(1, 4), item), expected[1:4, item], **CLOSE)

    def test_similar_items_have_columns_of_one_direction(self, scoring):
        columns = scoring.profiles.toarray().astype(np.float64)
        lengths = np.linalg.norm(columns, axis=0)
        for item in (1, 6):  # the last has no users
            expected = columns.T @ columns[:, item] / np.maximum(lengths * lengths[item], 1e-9)
            expected[item] = 1
            np.testing.assert_allclose(scoring.item_similarities(item), expected, **CLOSE)

    def test_a_history_gets_its_nearest_users_itself_not_left_out(self, scoring):
        profiles = scoring.profiles.toarray().astype(np.float64)
        history = profiles[0]  # as that of user 0, who stays a neighbor
        cosines = profiles @ history / (np.linalg.norm(profiles, axis=1) * np.linalg.norm(history) + 3.0)
        kept = np.where(cosines >= np.sort(cosines)[-2], cosines, 0)
        found = scoring.of_histories(sparse.csr_array(history[None].astype(np.float32)))
        np.testing.assert_allclose(found.similarities.toarray()[0], kept, **CLOSE)
        assert kept[0] > 0

    def test_another_number_of_users_is_refused(self):
        with pytest.raises(ValueError, match=r"one column for each of 5 users, but have shape \(4, 6\)"):
            UserMatrix(sparse.csr_array(weights(5, 7)), sparse.csr_array(drawn(4, 6)), 2, 3.0)
