import numpy as np

from flatrec.data.log import InteractionLog
from flatrec.data.splitting.returns import settle_returns


def test_a_return_passes_over_events_that_cannot_be_returned():
    log = InteractionLog(
        np.zeros(4, dtype=np.int64),
        np.zeros(4, dtype=np.int64),
        1,
        1,
        timestamps=np.array([1, 2, 3, 4]),
        quantities=np.array([2.0, 1.0, -2.0, 1.0]),
        returnable=np.array([True, False, False, False]),
    )
    settled = settle_returns(log)
    assert settled.quantities.tolist() == [0, 1, 0, 1]
    assert (settled.canceled, settled.unmatched) == (1, 0)
    assert log.take(np.array([0, 2])).returnable.tolist() == [True, False]
