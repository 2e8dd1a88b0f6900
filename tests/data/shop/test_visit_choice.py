import numpy as np
import pytest

from flatrec.data.shop import visit_choice
from flatrec.data.shop.purchases import Purchases
from flatrec.data.shop.visit_choice import choose_visits
from flatrec.data.shop.visits import Visits

VISITS = Visits(np.array([0.1, 0.3, 0.6, 0.2, 0.9]), np.array([3, 2]))
POPULARITY = np.array([[1, 1], [3, 1]], dtype=np.float32)  # in the two halves of the time
LAUNCHES = np.array([-0.5, 0.25])


def chosen(users, items, quantiles):
    purchases = Purchases(np.array(users), np.array(items))
    chances = np.array(quantiles, dtype=np.float64)
    return choose_visits(purchases, VISITS, POPULARITY, launches=LAUNCHES, quantiles=chances).tolist()


def test_visits_are_the_weighted_quantiles():
    # Item 0 weighs 1, 1 and 1 at the visits of user 0.
    assert chosen([0, 0, 0, 0], [0, 0, 0, 0], [0.0, 0.33, 0.34, 0.99]) == [0, 0, 1, 2]
    # Item 1 weighs 0 (not launched), 3 and 1.
    assert chosen([0, 0, 0, 0], [1, 1, 1, 1], [0.0, 0.74, 0.76, 1.0]) == [1, 1, 2, 2]
    # and 0 and 1 at the visits of user 1, which come after those of user 0.
    assert chosen([1, 0, 1, 1], [1, 0, 0, 0], [0.0, 0.0, 0.49, 0.51]) == [4, 0, 3, 4]


@pytest.mark.parametrize("cells", [1, 4, 7])
def test_the_choice_does_not_depend_on_the_size_of_a_part(cells, monkeypatch):
    rng = np.random.default_rng(0)
    users, items, quantiles = rng.integers(2, size=50), rng.integers(2, size=50), rng.random(50)
    whole = chosen(users, items, quantiles)
    monkeypatch.setattr(visit_choice, "CELLS", cells)
    assert chosen(users, items, quantiles) == whole
