"""The sparse product, against torch's, SciPy's and what the memory of the machine allows.

    OMP_NUM_THREADS=1 python benchmarks/products.py --out products.json

Graphs are those of random pairs, symmetric and normalized; the sizes are those of
Amazon Baby, Amazon Clothing and a shop of four million pairs. All kernels take turns, each into fresh memory, as in
training; a time is the median over the rounds. Two bounds stand beside ours: the bytes that must move whatever the
kernel does (the entries, the dense matrix once, the product once), and the same with one row of the dense matrix read
for every entry, which is what a kernel moves where that matrix does not stay in the cache. Both are divided by the
bandwidth of a copy, read and write counted, of as many bytes as the former, in the same round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from random_pairs import random_dataset
from results import record

from flatrec.graphs.interaction import training_graph
from flatrec.ops.spmm import Graph
from flatrec.utils.malloc import tune_malloc

SIZES = {
    "baby": (19_445, 7_050, 119_674),
    "clothing": (39_387, 23_033, 222_915),
    "large": (400_000, 100_000, 4_000_000),
}


def kernels(graph: Graph, dense: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """Every way to take the product; ``both`` are forward and backward."""
    pairs = graph.coo()
    matrix = pairs.tocsr()
    numbers = torch.from_numpy(np.stack([pairs.row, pairs.col]).astype(np.int64))
    coo = torch.sparse_coo_tensor(numbers, torch.from_numpy(pairs.data), graph.shape).coalesce()
    csr = coo.to_sparse_csr()
    array, leaf = dense.numpy(), dense.clone().requires_grad_()
    slope = torch.ones_like(dense)
    return {
        "flatrec": lambda: graph(dense),
        "torch_coo": lambda: torch.sparse.mm(coo, dense),
        "torch_csr": lambda: csr @ dense,
        "scipy": lambda: matrix @ array,
        "flatrec_both": lambda: torch.autograd.grad(graph(leaf), leaf, slope),
        "torch_coo_both": lambda: torch.autograd.grad(torch.sparse.mm(coo, leaf), leaf, slope),
    }


def timed(work: Callable[[], Any]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rows(sizes: Sequence[str], widths: Sequence[int], rounds: int) -> Iterator[dict[str, Any]]:
    """A row a size and width; milliseconds."""
    for size in sizes:
        graph = training_graph(random_dataset(*SIZES[size]).interactions)
        n_entries = len(graph.matrix.values)
        for width in widths:
            dense = torch.randn(graph.shape[1], width)
            entries = 8 * n_entries + 4 * graph.shape[0]
            least = entries + 2 * 4 * dense.numel()
            gathered = entries + 4 * width * n_entries + 4 * dense.numel()
            source = torch.zeros(least // 8)
            target = torch.empty_like(source)
            every = {**kernels(graph, dense), "copy": lambda to=target, of=source: to.copy_(of)}
            times = [{name: timed(work) for name, work in every.items()} for _ in range(rounds + 1)][1:]
            found = {name: median(one[name] for one in times) for name in every}
            milliseconds = {name: round(1000 * seconds, 3) for name, seconds in found.items() if name != "copy"}
            yield {
                "size": size,
                "width": width,
                "entries": n_entries,
                **milliseconds,
                "gb_per_second": round(least / found["copy"] / 1e9, 1),
                "times_the_least": round(median(one["flatrec"] / one["copy"] for one in times), 2),
                "times_the_gathered": round(
                    median(one["flatrec"] / (one["copy"] * gathered / least) for one in times), 2
                ),
            }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--widths", default="16,64,128,256")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    tune_malloc()
    widths = [int(one) for one in given.widths.split(",")]
    record(rows(given.sizes.split(","), widths, given.rounds), given.out, rounds=given.rounds)


if __name__ == "__main__":
    main()
