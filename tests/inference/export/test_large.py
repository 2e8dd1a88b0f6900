"""Large exports stream: a million users by 100,000 items in bounded memory, which does not grow with the rows."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Recommender
from flatrec.inference.storage import save_recommender
from flatrec.models.scoring import Vectors

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts what a process allocates on Linux only"),
]
GIB = 2**30
N_USERS, SEEN = 1_000_000, 20


def save_generated(folder, n_items, dim):
    draw = np.random.default_rng(0)
    users, items = (torch.from_numpy(draw.standard_normal((n, dim), dtype=np.float32)) for n in (N_USERS, n_items))
    columns = np.sort(draw.integers(0, n_items, (N_USERS, SEEN), dtype=np.int32), axis=1).ravel()
    offsets = np.arange(N_USERS + 1, dtype=np.int32) * SEEN
    seen = sparse.csr_array((np.ones(len(columns), dtype=np.float32), columns, offsets), shape=(N_USERS, n_items))
    seen.sum_duplicates()
    ids = Vocabulary("item", [f"item-{index}" for index in range(n_items)])
    catalog = Catalog(ids, np.ones(n_items), np.zeros(n_items, dtype=np.bool_))
    names = Vocabulary("user", [f"user-{index}" for index in range(N_USERS)])
    save_recommender(Recommender(Vectors(users, items), names, catalog, seen, seen), folder)


def export(folder, out, *words):
    """Export in a process that may allocate 3 GiB; its peak in GiB."""
    command = [sys.executable, "-m", "flatrec", "export", folder, "-k", "20", "--out", out, *words]
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (3 * GIB, 3 * GIB)),
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 2**20


def test_a_shard_of_a_million_users_and_a_hundred_thousand_items_fits_into_little_memory(tmp_path):
    save_generated(tmp_path / "recommender", 100_000, 64)
    peak = export(tmp_path / "recommender", tmp_path / "recs.parquet", "--shard", "1/64")
    assert peak < 2


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_memory_does_not_grow_with_the_rows(tmp_path, ending):
    save_generated(tmp_path / "recommender", 200, 2)
    of_a_shard = export(tmp_path / "recommender", tmp_path / f"recs.{ending}", "--shard", "1/16")
    of_all = export(tmp_path / "recommender", tmp_path / f"recs.{ending}")
    assert of_all < of_a_shard + 0.15  # twenty million rows, which take a GiB or more in memory
