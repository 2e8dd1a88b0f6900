"""Ten million reviews within four gibibytes."""

from __future__ import annotations

import gzip
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

REVIEWS = 10_000_000


@pytest.mark.slow
def test_ten_million_reviews_are_prepared_within_four_gibibytes(tmp_path):
    generator = np.random.default_rng(0)
    users, items = generator.integers(0, 1_500_000, REVIEWS), generator.zipf(1.3, REVIEWS) % 300_000
    rest = '"reviewText": "%s", "overall": 5.0, "unixReviewTime": 1400000000}\n' % ("It does what it should. " * 12)
    with gzip.open(tmp_path / "r.json.gz", "wt", compresslevel=1) as file:
        for user, item in zip(users.tolist(), items.tolist(), strict=True):
            file.write(f'{{"reviewerID": "A{user:013d}", "asin": "B{item:09d}", {rest}')
    words = ["data", "prepare", "amazon", "--reviews", tmp_path / "r.json.gz", "--out", tmp_path / "out"]
    subprocess.run([Path(sys.executable).parent / "flatrec", *words], check=True, capture_output=True)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert most < 4 * 2**20  # KiB
