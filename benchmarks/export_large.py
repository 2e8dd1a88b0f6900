"""Time and peak memory of a large export: every user's list from generated vectors, in a process of limited memory.

    OMP_NUM_THREADS=2 python benchmarks/export_large.py FOLDER --out export_large.json
    OMP_NUM_THREADS=2 python benchmarks/export_large.py FOLDER --shard 1/64

A recommender of a million users and 100,000 items with 64 columns, and 20 seen items per user, is generated once and
saved in FOLDER; a second call takes it from there. The export is a process of its own, whose data must fit into 4 GiB
(``RLIMIT_DATA``: what the process allocates, whether it is used or not); the vectors are mapped from the disk. Its peak
is that of the resident set, so that it counts mapped files as far as they are in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from results import record
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Facts, Recommender
from flatrec.inference.storage import has_recommender, save_recommender
from flatrec.models.scoring import Vectors

GIB = 2**30


def generated(n_users: int, n_items: int, dim: int, n_seen: int) -> Recommender:
    """A recommender of random vectors; each user has seen so many items, popular ones more often."""
    draw = np.random.default_rng(0)
    users, items = (torch.from_numpy(draw.standard_normal((n, dim), dtype=np.float32)) for n in (n_users, n_items))
    columns = (n_items * draw.random((n_users, n_seen)) ** 2.5).astype(np.int32)
    columns.sort(axis=1)
    offsets = np.arange(n_users + 1, dtype=np.int32) * n_seen
    values = np.ones(columns.size, dtype=np.float32)
    seen = sparse.csr_array((values, columns.ravel(), offsets), shape=(n_users, n_items))
    seen.sum_duplicates()
    catalog = Catalog(
        Vocabulary("item", [f"item-{index:06}" for index in range(n_items)]),
        popularity=np.bincount(seen.indices, minlength=n_items).astype(np.float64),
        new=np.zeros(n_items, dtype=np.bool_),
    )
    ids = Vocabulary("user", [f"user-{index:07}" for index in range(n_users)])
    return Recommender(Vectors(users, items), ids, catalog, seen, seen, facts=Facts("generated"))


def export(folder: Path, out: Path, *, k: int, shard: str, limit: float) -> dict[str, object]:
    """Export in a process of its own; what it says, its seconds and its peak."""
    words = ["export", folder, "-k", k, "--out", out, "--shard", shard, "--overwrite", "--json"]
    command = [sys.executable, "-m", "flatrec", *map(str, words)]

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit * GIB), int(limit * GIB)))

    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=limited)
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    if process.returncode:
        raise SystemExit(f"the export ended with {process.returncode} after {seconds:.0f} s, peak {peak:.2f} GiB")
    report = json.loads(output)
    file = Path(report["target"])
    return {
        **{name: report[name] for name in ("shard", "rows", "lists", "paths", "skipped")},
        "seconds": round(seconds, 1),
        "peak_gib": round(peak, 2),
        "file_mb": round(file.stat().st_size / 2**20, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--seen", type=int, default=20)
    parser.add_argument("-k", type=int, default=50)
    parser.add_argument("--shard", default="1/1")
    parser.add_argument("--format", default="parquet")
    parser.add_argument("--limit", type=float, default=4.0, help="GiB")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    recommender = options.folder / "recommender"
    if not has_recommender(recommender):
        save_recommender(generated(options.users, options.items, options.dim, options.seen), recommender)
    target = options.folder / f"recs.{options.format}"
    row = export(recommender, target, k=options.k, shard=options.shard, limit=options.limit)
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    record([row], options.out, users=options.users, items=options.items, k=options.k, threads=threads)


if __name__ == "__main__":
    main()
