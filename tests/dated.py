"""Tiny data with times, in memory and on disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flatrec.data.dataset import Dataset
from flatrec.testing import block_dataset

DAY = 86400
START = 1_704_067_200  # 2024-01-01


def dated_blocks(days: int = 40) -> Dataset:
    """Tiny data whose interactions are spread over some days, several on each."""
    dataset = block_dataset(blocks=3, users=8, items=6)
    before = dataset.interactions
    drawn = np.random.default_rng(0).integers(0, days, len(before))
    return replace(dataset, interactions=replace(before, timestamps=START + drawn * DAY))
