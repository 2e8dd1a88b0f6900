import numpy as np

from flatrec.data.shop.visits import MOST_VISITS, Habits, draw_visits

COUNTS = np.random.default_rng(0).integers(5, 40, size=3000)


def drawn(not_before=0.0, counts=COUNTS, **habits):
    return draw_visits(counts, np.full(len(counts), not_before), Habits(**habits), np.random.default_rng(1))


def test_visits_of_a_user_are_in_order_and_within_the_two_years():
    visits = drawn()
    assert visits.counts.sum() == len(visits.times)
    assert visits.counts.min() >= 1
    steps = np.diff(visits.times)
    steps[visits.starts[1:] - 1] = 0  # from one user to the next
    assert (steps >= 0).all()
    assert 0 <= visits.times.min() < visits.times.max() < 1


def test_the_last_visit_is_after_everything_that_the_user_buys_is_launched():
    visits = drawn(not_before=0.95)
    assert visits.times[visits.starts + visits.counts - 1].min() > 0.95


def test_users_join_over_time_and_busy_ones_earlier():
    visits = drawn()
    joined = visits.times[visits.starts]
    assert 0.05 < (joined > 0.7).mean() < 0.3
    assert joined[COUNTS > 30].mean() < 0.6 * joined[COUNTS < 10].mean()


def test_pauses_are_of_very_different_length():
    pauses = np.diff(drawn(counts=np.full(300, 60)).times)
    pauses = pauses[pauses > 0]
    assert np.quantile(pauses, 0.9) > 15 * np.quantile(pauses, 0.1)


def test_fewer_users_stay_if_fewer_are_loyal():
    lasts = [np.maximum.reduceat(visits.times, visits.starts) for visits in (drawn(loyalty=0.0), drawn(loyalty=1.0))]
    assert lasts[0].mean() < lasts[1].mean() - 0.2


def test_the_number_of_visits_is_bounded():
    assert drawn(counts=np.full(3, 5000)).counts.tolist() == [MOST_VISITS] * 3
