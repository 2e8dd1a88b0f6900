"""No split: all interactions are for training, as for a final fit."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int8
from numpy import ndarray

from flatrec.config.split import SplitSettings
from flatrec.data.log import InteractionLog
from flatrec.data.splitting.base import SplitMethod


def assign(log: InteractionLog, _settings: SplitSettings) -> Int8[ndarray, "n_events"]:
    """Put all events into training."""
    return np.zeros(len(log), dtype=np.int8)


METHOD = SplitMethod(assign, frozenset(), "events", may_lack=True)
