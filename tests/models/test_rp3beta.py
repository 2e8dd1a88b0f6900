from itertools import product

import numpy as np
import pytest
import torch

from flatrec.models import RP3beta
from tests.models.shops import dataset_of, unequal, weighted_dataset

ALL = 1000  # neighbors: more than there are items


def walks(matrix, alpha, beta):
    """The sum over all walks from item to user to item, one by one."""
    n_users, n_items = matrix.shape
    found = np.zeros((n_items, n_items))
    for before, user, after in product(range(n_items), range(n_users), range(n_items)):
        if before != after and matrix[user, before] and matrix[user, after]:
            back = matrix[user, before] / matrix[:, before].sum()
            forth = matrix[user, after] / matrix[user].sum()
            found[before, after] += (back * forth) ** alpha / matrix[:, after].sum() ** beta
    return found


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (0.7, 0.5), (1.4, 1.0)])
@pytest.mark.parametrize("make", [unequal, weighted_dataset])
def test_similarities_are_sums_over_walks(make, alpha, beta):
    dataset = make()
    matrix = dataset.interactions.weight_matrix("train").toarray().astype(np.float64)
    found = RP3beta(dataset, RP3beta.Config(n_neighbors=ALL, alpha=alpha, beta=beta)).similarities
    np.testing.assert_allclose(found.toarray(), walks(matrix, alpha, beta), rtol=1e-5, atol=1e-9)


def test_scores_are_the_probabilities_of_three_steps_as_worked_by_hand():
    # u0: a b; u1: a c. From u0: over a to u0 or u1 (1/2 each), over b to u0; of u1 a walk ends at c with 1/2.
    dataset = dataset_of(np.array([[1, 1, 0], [1, 0, 1]]))
    scores = RP3beta(dataset, RP3beta.Config(beta=0.0)).scoring().scores(torch.tensor([0]))[0]
    assert scores[2].item() / 2 == pytest.approx(1 / 2 * 1 / 2 * 1 / 2)  # the score is twice the probability: d_u = 2
    assert (scores[:2] / 2).tolist() == pytest.approx([1 / 2 * 1 / 2, 1 / 2 * 1 / 2 * 1 / 2])


def test_a_row_keeps_its_largest_entries():
    dataset = unequal()
    whole = RP3beta(dataset, RP3beta.Config(n_neighbors=ALL)).similarities.toarray()
    kept = RP3beta(dataset, RP3beta.Config(n_neighbors=3)).similarities.toarray()
    for row, (of_whole, of_kept) in enumerate(zip(whole, kept, strict=True)):
        np.testing.assert_allclose(np.sort(of_kept)[-3:], np.sort(of_whole)[-3:], err_msg=str(row))
        assert (of_kept > 0).sum() <= 3


@pytest.mark.parametrize("entries", [1, 24, 100])
def test_rp3beta_does_not_depend_on_its_blocks(entries, monkeypatch):
    whole = RP3beta(unequal()).similarities.toarray()
    monkeypatch.setattr("flatrec.models.neighbors.BLOCK_ENTRIES", entries)
    np.testing.assert_array_equal(RP3beta(unequal()).similarities.toarray(), whole)
