"""How long a graph of nearest neighbors takes to build, and how much memory the process needs for it.

    OMP_NUM_THREADS=1 python benchmarks/neighbors.py --items 100000 --width 384 --neighbors 10 --seed 0

Prints one line of JSON: the sizes, the seconds of the build alone, and the peak memory of the whole process in GiB
(where the system counts a parent's memory until the program starts, as Linux does, the larger of the two). Features
are random normal numbers; nothing is read from or written to the cache of graphs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time

import numpy as np

from flatrec.graphs.knn import knn_matrix


def main() -> None:
    arguments = parsed()
    os.environ["FLATREC_CACHE"] = "off"
    shape = (arguments.items, arguments.width)
    features = np.random.default_rng(arguments.seed).standard_normal(shape, dtype=np.float32)
    start = time.perf_counter()
    graph = knn_matrix(features, arguments.neighbors)
    seconds = time.perf_counter() - start
    print(json.dumps({**vars(arguments), "links": int(graph.nnz), "seconds": round(seconds, 2), "peak_gib": peak()}))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build a graph of nearest neighbors, and report time and memory.")
    for name, value in (("items", 100_000), ("width", 384), ("neighbors", 10), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"{value} unless given")
    return parser.parse_args()


def peak() -> float:
    """The largest resident memory so far; macOS counts bytes, others kilobytes."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / (2**30 if sys.platform == "darwin" else 2**20), 3)


if __name__ == "__main__":
    main()
