"""Contributions by hand, and those of the exact kinds add up to the scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import Catalog
from flatrec.inference.explain import contributions, reasons
from flatrec.inference.fold_in import FoldIn, FoldInItems
from flatrec.models.scoring import ItemMatrix, ItemScores, Vectors


def csr(rows):
    return sparse.csr_array(np.array(rows, dtype=np.float32))


def catalog(titles=None):
    return Catalog(Vocabulary("item", list("abcd")), np.ones(4), np.zeros(4, dtype=bool), titles=titles)


SIMILARITIES = csr([[0, 0.5, 0.2, 0], [0.5, 0, 0.1, -0.3], [0.2, 0.1, 0, 0], [0, -0.3, 0, 0]])


def test_a_matrix_of_similar_items_by_hand():
    matrix = ItemMatrix(csr([[2, 1, 0, 0]]), SIMILARITIES)
    found = contributions(matrix, matrix.profiles[[0]], np.array([2, 3]))
    assert (found.items.tolist(), found.kind) == ([0, 1], "exact")
    np.testing.assert_allclose(found.values, [[0.4, 0], [0.1, -0.3]])
    np.testing.assert_allclose(found.values.sum(axis=0), matrix.scores(torch.tensor([0]))[0, 2:])


def test_reasons_name_the_strongest_first_and_nothing_that_speaks_against():
    matrix = ItemMatrix(csr([[2, 1, 0, 0]]), SIMILARITIES)
    explained = reasons(matrix, matrix.profiles[[0]], np.array([2, 3]), catalog(("A", "B", "C", "D")))
    first, second = explained[0]
    assert (first.item, first.title, second.item, second.kind) == ("a", "A", "b", "exact")
    assert first.contribution == pytest.approx(0.4)
    assert explained[1] == ()


def test_a_trained_vector_is_explained_by_cosines():
    vectors = Vectors(torch.tensor([[9.0, 9.0]]), torch.tensor([[1.0, 0], [0, 2], [3, 3], [-1, 0]]))
    (of_item,) = reasons(vectors, csr([[1, 5, 0, 1]]), np.array([2]), catalog())
    assert [(reason.item, reason.kind) for reason in of_item] == [("a", "similarity"), ("b", "similarity")]
    assert of_item[0].contribution == pytest.approx(0.5**0.5)


def test_the_same_scores_for_everybody_have_no_reasons():
    assert reasons(ItemScores(torch.ones(4), 1), csr([[1, 1, 0, 0]]), np.array([2, 3]), catalog()) == ((), ())


@pytest.mark.parametrize("settings", [FoldIn(), FoldIn(unobserved_weight=0, reg_weight=0.01), FoldIn(method="mean")])
def test_contributions_to_folded_in_users_add_up_to_the_score(settings):
    generator = np.random.default_rng(0)
    items = torch.from_numpy(generator.normal(size=(30, 5)))
    histories = sparse.random_array((6, 30), density=0.3, rng=generator, format="csr")
    scoring = Vectors(torch.zeros(0, 5, dtype=torch.float64), items)
    folded = FoldInItems(scoring, generator.random(30), settings)
    scores = folded.user_vectors(histories) @ items.T
    listed = np.array([3, 17, 29])
    for row in range(6):
        found = contributions(scoring, histories[[row]], listed, folded)
        assert found.kind == "exact"
        np.testing.assert_allclose(found.values.sum(axis=0), scores[row, listed], atol=1e-12)


def test_the_contribution_of_an_only_item_is_the_score_by_hand():
    # m = 1, so that (4 w + l m) u = 2 w with w = 1 and l = 1; the score of the item itself is 2 u.
    scoring = Vectors(torch.zeros(0, 1), torch.tensor([[2.0], [0.0], [0.0], [0.0]]))
    folded = FoldInItems(scoring, np.ones(4), FoldIn(unobserved_weight=0, reg_weight=1))
    np.testing.assert_allclose(folded.contributions(csr([[1, 0, 0, 0]]), np.array([0, 1])), [[0.8, 0]])
