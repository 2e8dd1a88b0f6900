"""A log that is in order takes a shorter path, to the same interactions."""

import numpy as np
import pytest

from flatrec.config import SplitSettings
from flatrec.data.log import InteractionLog
from flatrec.data.splitting import split_log


@pytest.mark.parametrize("half_life", [None, 50.0])
@pytest.mark.parametrize("method", ["random", "leave-last", "user-time", "time"])
def test_a_log_in_order_is_split_like_a_shuffled_one(method, half_life):
    generator = np.random.default_rng(0)
    cells = np.sort(generator.choice(40 * 30, 400, replace=False))
    times, weights = generator.integers(1, 1000, 400), generator.random(400) + 0.5
    log = InteractionLog(cells // 30, cells % 30, 40, 30, times, weights, half_life=half_life)
    shuffled = log.take(generator.permutation(400))
    one, other = (split_log(events, SplitSettings(method=method))[0] for events in (log, shuffled))
    assert len(one) == 400
    for name in ("users", "items", "splits", "timestamps", "weights"):
        assert (getattr(one, name) == getattr(other, name)).all()
        assert getattr(one, name).dtype == getattr(other, name).dtype
