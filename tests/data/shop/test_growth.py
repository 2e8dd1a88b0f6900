import numpy as np

from flatrec.data.shop.growth import steady_growth


def test_sales_grow_linearly_to_twice_their_beginning():
    sales = np.random.default_rng(0).beta(5, 1, size=50_000)
    counts = np.histogram(steady_growth(sales)(sales), bins=4, range=(0, 1))[0] / len(sales)
    # the density (1 + t) / 1.5, over quarters of the time
    np.testing.assert_allclose(counts, [0.1875, 0.2292, 0.2708, 0.3125], atol=0.015)


def test_the_order_of_times_stays_and_the_ends_stay():
    stretch = steady_growth(np.array([0.9, 0.91, 0.92]))
    times = np.linspace(0, 1, 500)
    assert (np.diff(stretch(times)) > 0).all()
    np.testing.assert_allclose(stretch(np.array([0.0, 1.0])), [0, 1])


def test_times_before_the_beginning_keep_their_value():
    assert steady_growth(np.array([0.5]))(np.array([-0.7, -0.1])).tolist() == [-0.7, -0.1]
