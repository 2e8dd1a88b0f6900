"""One user's list, exact and approximate, against implicit and faiss on the same vectors; and loading a large folder.

    pip install faiss-cpu implicit
    OMP_NUM_THREADS=1 python benchmarks/serving_latency.py latency --items 20000 200000 1000000 --out latency.json
    OMP_NUM_THREADS=1 python benchmarks/serving_latency.py loading --out loading.json

The vectors are generated: items lie around 500 centers, in 64 columns of decreasing importance, and differ in length as
the vectors of popular and rare items do; a user lies between three centers. Every user has seen 30 items, which no list
holds. All methods answer the same users in turn, one user at a time, with 10 items; a time is that of the processor,
the median over the users. ``faiss flat`` and ``faiss hnsw`` are asked for 40 items without anything else being done;
``implicit`` is its ``recommend`` of one user, which leaves out seen items as ours does.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy import ndarray
from results import record
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.ann import IndexSettings
from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Recommender
from flatrec.inference.storage import load_recommender, save_recommender
from flatrec.models.scoring import Vectors

DIM, K, SEEN, CENTERS = 64, 10, 30, 500
Answer = Callable[[int], ndarray]


def generated(n_users: int, n_items: int) -> Recommender:
    """A recommender of generated vectors and histories."""
    stream = np.random.default_rng(0)
    decreasing = (1 / np.sqrt(1 + np.arange(DIM) / 8)).astype(np.float32)
    centers = stream.standard_normal((CENTERS, DIM), dtype=np.float32)
    items = centers[stream.integers(CENTERS, size=n_items)] + 0.8 * stream.standard_normal(
        (n_items, DIM), dtype=np.float32
    )
    items *= decreasing * np.exp(0.4 * stream.standard_normal((n_items, 1), dtype=np.float32))
    users = centers[stream.integers(CENTERS, size=(n_users, 3))].mean(axis=1)
    users += 0.5 * stream.standard_normal((n_users, DIM), dtype=np.float32)
    users *= decreasing
    columns = stream.integers(n_items, size=(n_users, SEEN)).astype(np.int32)
    seen = sparse.csr_array(
        (np.ones(n_users * SEEN, dtype=np.float32), columns.ravel(), np.arange(0, n_users * SEEN + 1, SEEN)),
        shape=(n_users, n_items),
    )
    seen.sum_duplicates()
    names = (
        Vocabulary(kind, [f"{kind}-{n:07d}" for n in range(size)])
        for kind, size in (("user", n_users), ("item", n_items))
    )
    user_ids, item_ids = names
    catalog = Catalog(
        item_ids, np.bincount(seen.indices, minlength=n_items).astype(np.float64), np.zeros(n_items, np.bool_)
    )
    return Recommender(Vectors(torch.from_numpy(users), torch.from_numpy(items)), user_ids, catalog, seen, seen)


def latency(n_items: int, rounds: int) -> dict[str, object]:
    """Median milliseconds of one user's list by each method, and how much of the exact lists each finds."""
    recommender = generated(2000, n_items)
    started = time.perf_counter()
    indexed = recommender.with_index(IndexSettings(min_items=0, k=K, items_per_step=32))
    built = time.perf_counter() - started
    methods = {
        "flatrec exact": _of(recommender),
        "flatrec index": _of(indexed),
        **_faiss(recommender, indexed.index.graph if indexed.index else None),
        **_implicit(recommender),
    }
    times: dict[str, list[float]] = {name: [] for name in methods}
    lists: dict[str, list[set[int]]] = {name: [] for name in methods}
    for user in range(rounds + 5):
        for name, answer in methods.items():
            started = time.process_time()
            found = answer(user)
            times[name].append(1000 * (time.process_time() - started))
            hidden = set(recommender.seen[[user]].indices.tolist())
            lists[name].append(set([item for item in found.tolist() if item not in hidden][:K]))
    exact = lists["flatrec exact"]
    result: dict[str, object] = {
        name: {
            "milliseconds": round(median(of_method[5:]), 3),
            "recall": round(float(np.mean([len(a & b) / K for a, b in zip(lists[name], exact, strict=True)])), 4),
        }
        for name, of_method in times.items()
    }
    facts = indexed.index.facts if indexed.index else None
    return {**result, "index": facts.model_dump() if facts else None, "seconds to build and measure": round(built, 1)}


def _of(recommender: Recommender) -> Answer:
    users = recommender.users
    return lambda user: recommender.rank([users[user]], K).items[0].numpy()


def _faiss(recommender: Recommender, graph: object) -> dict[str, Answer]:
    import faiss

    vectors = recommender.scoring
    assert isinstance(vectors, Vectors)
    queries = vectors.users.numpy()
    flat = faiss.IndexFlatIP(DIM)
    flat.add(vectors.items.numpy())
    methods: dict[str, Answer] = {"faiss flat": lambda user: flat.search(queries[user : user + 1], K + SEEN)[1][0]}
    for width in (128, 512):
        parameters = faiss.SearchParametersHNSW(efSearch=width)
        methods[f"faiss hnsw {width}"] = (
            lambda user, parameters=parameters: graph.search(  # type: ignore[misc, attr-defined]
                queries[user : user + 1], K + SEEN, params=parameters
            )[1][0]
        )
    return methods


def _implicit(recommender: Recommender) -> dict[str, Answer]:
    from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase

    class Given(MatrixFactorizationBase):
        """implicit's answers for vectors that are given."""

        def __init__(self, vectors: Vectors) -> None:
            super().__init__(num_threads=1)
            self.user_factors, self.item_factors = vectors.users.numpy(), vectors.items.numpy()

        def fit(self, *_: object, **__: object) -> None: ...
        def recalculate_user(self, *_: object, **__: object) -> None: ...
        def recalculate_item(self, *_: object, **__: object) -> None: ...
        def partial_fit_users(self, *_: object, **__: object) -> None: ...
        def partial_fit_items(self, *_: object, **__: object) -> None: ...
        def save(self, *_: object, **__: object) -> None: ...

    vectors = recommender.scoring
    assert isinstance(vectors, Vectors)
    model, seen = Given(vectors), sparse.csr_matrix(recommender.seen)
    return {"implicit": lambda user: model.recommend(user, seen[user], N=K)[0]}


def loading(n_users: int, n_items: int, rounds: int) -> dict[str, object]:
    """Seconds and memory to load a folder and to answer one user, each time in a new process."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "recommender"
        save_recommender(replace(generated(n_users, n_items)), folder)
        sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        rows = [
            [float(word) for word in subprocess.run(
                [sys.executable, __file__, "one-load", str(folder)], check=True, capture_output=True, text=True
            ).stdout.split()]
            for _ in range(rounds)
        ]  # fmt: skip
    names = ("seconds to load", "seconds to load, of the processor", "seconds of the first answer",
             "milliseconds of further answers", "MiB before loading", "MiB after 100 answers",
             "MiB of mapped files after 100 answers", "MiB at most")  # fmt: skip
    return {
        "bytes": sizes,
        **{name: median(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)},
    }


def one_load(folder: Path) -> None:
    """Load and answer; print the figures of one row of ``loading``."""
    before = _resident("RssAnon") + _resident("RssFile")
    started, worked = time.perf_counter(), time.process_time()
    recommender = load_recommender(folder)
    loaded, working = time.perf_counter() - started, time.process_time() - worked
    times = []
    for user in range(0, 100 * 997, 997):
        started = time.perf_counter()
        recommender.recommend(recommender.users[user % len(recommender.users)], K)
        times.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    memory = before, _resident("RssAnon"), _resident("RssFile"), peak
    print(loaded, working, times[0], 1000 * median(times[1:]), *memory)


def _resident(kind: str) -> float:
    """Resident MiB: ``RssAnon`` of the process alone, ``RssFile`` of mapped files, which the system can take back."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
    return int(line.split()[1]) / 1024


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_latency, of_loading = commands.add_parser("latency"), commands.add_parser("loading")
    of_latency.add_argument("--items", type=int, nargs="+", default=[20_000, 100_000, 200_000])
    of_latency.add_argument("--rounds", type=int, default=200)
    of_loading.add_argument("--users", type=int, default=1_000_000)
    of_loading.add_argument("--items", type=int, default=100_000)
    of_loading.add_argument("--rounds", type=int, default=3)
    for command in (of_latency, of_loading):
        command.add_argument("--out", type=Path)
    commands.add_parser("one-load").add_argument("folder", type=Path)
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    if arguments.command == "one-load":
        one_load(arguments.folder)
        return
    if arguments.command == "loading":
        rows: Iterator[dict[str, object]] = iter([loading(arguments.users, arguments.items, arguments.rounds)])
    else:
        rows = ({"items": n_items, **latency(n_items, arguments.rounds)} for n_items in arguments.items)
    record(rows, arguments.out, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
