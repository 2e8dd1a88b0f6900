"""The split that the source gives."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int8
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.log import InteractionLog
from flatrec.data.splitting.base import SplitMethod


def assign(log: InteractionLog, _settings: SplitSettings) -> Int8[ndarray, "n_events"]:
    """Return the splits of the source.

    Raises:
        ValueError: it gives none.
    """
    if log.splits is None:
        raise ValueError(
            "split.method is given, but the data give no split; name its column with split_column, or choose another "
            "method, such as random"
        )
    return log.splits.astype(np.int8)


METHOD = SplitMethod(assign, frozenset(), "events", may_lack=True)
