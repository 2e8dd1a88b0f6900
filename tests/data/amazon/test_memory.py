"""Twenty million reviews within two gigabytes."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from io import BytesIO

import numpy as np
import polars as pl
import pytest

REVIEWS, PER_BATCH = 20_000_000, 500_000
USERS, ITEMS = 3_000_000, 600_000


def write_reviews(path):
    """Reviews of 400 bytes each, in batches that leave this process smaller than the one that is measured."""
    generator = np.random.default_rng(0)
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(REVIEWS // PER_BATCH):
            numbers = pl.DataFrame(
                {
                    "user": generator.integers(0, USERS, PER_BATCH),
                    "item": generator.zipf(1.3, PER_BATCH) % ITEMS,
                    "unixReviewTime": generator.integers(946_684_800, 1_538_352_000, PER_BATCH),
                }
            )
            batch = BytesIO()
            numbers.select(
                reviewerID="A" + pl.col("user").cast(pl.String).str.zfill(13),
                asin="B" + pl.col("item").cast(pl.String).str.zfill(9),
                reviewText=pl.lit("It does what it should. " * 12),
                overall=pl.lit(5.0),
                unixReviewTime="unixReviewTime",
            ).write_ndjson(batch)
            file.write(batch.getvalue())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_twenty_million_reviews_are_prepared_within_two_gigabytes(tmp_path):
    write_reviews(tmp_path / "r.json.gz")
    words = ["data", "prepare", "amazon", "--reviews", tmp_path / "r.json.gz", "--out", tmp_path / "out"]
    command = [sys.executable, "-m", "flatrec", *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"}
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)  # it was waited for
    assert child.returncode == 0
    assert 200 * 2**20 < usage.ru_maxrss * 2**10 < 2 * 10**9
    assert (tmp_path / "out" / "out.inter").is_file()
