"""How fast the shop grows: the time scale of the drawn dates is stretched until sales grow steadily."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

GROWTH = 1.0  # the sales at the end of the two years are 1 + GROWTH times those at the beginning
EDGES = 105  # between which times are stretched evenly
LINEAR = 0.02  # keeps different times apart where nothing is sold


def steady_growth(sales: Float[ndarray, "n_sales"]) -> Callable[[Float[ndarray, "n"]], Float[ndarray, "n"]]:
    """Return an increasing map of times in [0, 1] after which the density of the sales is linear in time.

    Times below 0 keep their value. Purchases pile up where they are drawn late, because everything that a user buys
    has to be on sale first; the map spreads them, and leaves the order of everything as it is.
    """
    edges = np.linspace(0, 1, EDGES)
    sold = np.searchsorted(np.sort(sales), edges, side="right") / max(len(sales), 1)
    sold = (1 - LINEAR) * sold + LINEAR * edges
    sold = (sold - sold[0]) / (sold[-1] - sold[0])
    stretched = (np.sqrt(1 + GROWTH * (2 + GROWTH) * sold) - 1) / GROWTH

    def stretch(times: Float[ndarray, "n"]) -> Float[ndarray, "n"]:
        return np.where(times < 0, times, np.interp(times, edges, stretched))

    return stretch
