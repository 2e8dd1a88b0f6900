import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatrec.data.k_core import k_core_mask

edges = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), unique=True, max_size=40)


def columns(interactions):
    return tuple(np.array(interactions, dtype=np.int64).reshape(-1, 2).T)


@pytest.mark.parametrize("k", [0, 1])
def test_a_core_of_zero_or_one_keeps_everything(k):
    assert k_core_mask(np.array([0, 1]), np.array([0, 0]), k).tolist() == [True, True]


def test_dropping_an_item_can_drop_its_users_in_turn():
    users, items = columns([(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)])
    assert k_core_mask(users, items, 2).tolist() == [True] * 4 + [False] * 2


@given(edges, st.integers(2, 4))
def test_the_core_is_the_largest_set_in_which_all_have_enough_interactions(interactions, k):
    users, items = columns(interactions)
    left = set(interactions)
    while True:
        weak = {
            one
            for one in left
            if sum(other[0] == one[0] for other in left) < k or sum(other[1] == one[1] for other in left) < k
        }
        if not weak:
            break
        left -= weak
    assert {one for one, kept in zip(interactions, k_core_mask(users, items, k), strict=True) if kept} == left
