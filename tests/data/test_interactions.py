import numpy as np
import pytest

from flatrec.data.interactions import Interactions


def interactions(*, users=(0, 0, 1), items=(0, 1, 1), parts=(0, 2, 0), n_users=2, n_items=2):
    numbers = (np.array(column, dtype=np.int32) for column in (users, items))
    return Interactions(*numbers, np.array(parts, dtype=np.int8), n_users, n_items)


def test_arrays_are_copied_and_read_only():
    users = np.array([0, 0, 1], dtype=np.int32)
    one = Interactions(users, users[::-1], np.zeros(3, dtype=np.int8), 2, 2)
    users[0] = 1
    assert one.users.tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="read-only"):
        one.users[0] = 1


def test_parts_are_told_apart():
    assert [interactions().count(part) for part in ("train", "valid", "test")] == [2, 0, 1]
    assert interactions().matrix("train").toarray().tolist() == [[1, 0], [0, 1]]


def test_users_and_items_without_interactions_keep_their_rows():
    assert interactions(n_users=4, n_items=5).matrix("test").shape == (4, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"users": (0, 0, 2)}, r"users must lie in \[0, 2\), but range from 0 to 2"),
        ({"items": (0, -1, 1)}, r"items must lie in \[0, 2\), but range from -1 to 1"),
        ({"parts": (0, 3, 0)}, r"splits must lie in \[0, 3\)"),
        ({"items": (0, 0, 1)}, "occurs twice"),
    ],
)
def test_wrong_interactions_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        interactions(**change)


def test_columns_of_different_lengths_are_refused():
    # A TypeError where shapes are checked as in this test run, a ValueError otherwise.
    with pytest.raises((ValueError, TypeError)):
        interactions(users=(0, 0))
