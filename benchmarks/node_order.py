"""What an order of users and items by degree or community would save: times of the sparse product, misses of a cache.

    OMP_NUM_THREADS=1 python benchmarks/node_order.py --out order.json
    OMP_NUM_THREADS=1 python benchmarks/node_order.py --data DATA/baby --cache 0.1

Without ``--data``, interactions are random with the skew of a shop; with ``--communities`` each user belongs to one,
and draws four fifths of its items from it. Ids are shuffled, so that they say nothing. The product with each order
takes turns with the others; times are CPU milliseconds, medians over the rounds, and ratios are to the shuffled ids. An
order "of the generator" sorts by the communities that the data were drawn from, which no method can know better.

With ``--data``, the product of a small graph fits into any cache. What is counted instead is the fraction of gathered
rows that a cache misses which holds a fraction of all rows and drops the one that was not used for the longest time.
"""

from __future__ import annotations

import argparse
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy import ndarray
from results import record
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from flatrec.data.loading import load_data
from flatrec.ops.spmm import Graph
from flatrec.utils.malloc import tune_malloc

SIZE = {"users": 1_000_000, "items": 200_000, "interactions": 20_000_000}
BARYCENTERS = 15  # rounds, after which the order hardly changes


class Order(NamedTuple):
    """The users and the items in a new order."""

    users: ndarray
    items: ndarray


def drawn(given: argparse.Namespace) -> tuple[sparse.csr_array, Mapping[str, Order]]:
    """A matrix of users by items with shuffled ids, and the order of the generator where it has communities."""
    stream = np.random.default_rng(0)
    n_users, n_items, count = given.users, given.items, given.interactions
    users = (n_users * stream.random(count) ** 1.5).astype(np.int64)
    items = (n_items * stream.random(count) ** 2.5).astype(np.int64)
    new_users, new_items = stream.permutation(n_users), stream.permutation(n_items)
    found = {}
    if given.communities:
        own = np.minimum(items // given.communities * given.communities + users % given.communities, n_items - 1)
        items = np.where(stream.random(count) < 0.8, own, items)
        old_users, old_items = np.argsort(new_users), np.argsort(new_items)
        found["of the generator"] = Order(
            np.lexsort((old_users, old_users % given.communities)),
            np.lexsort((old_items, old_items % given.communities)),
        )
    ends = (new_users[users].astype(np.int32), new_items[items].astype(np.int32))
    matrix = sparse.csr_array((np.ones(count, dtype=np.float32), ends), shape=(n_users, n_items))
    matrix.data[:] = 1
    return matrix, found


def orders(matrix: sparse.csr_array) -> dict[str, Order]:
    """The orders that can be found from the interactions."""
    n_users = matrix.shape[0]
    both = adjacency(matrix)
    both.indices, both.indptr = both.indices.astype(np.int32), both.indptr.astype(np.int32)
    nodes = reverse_cuthill_mckee(both, symmetric_mode=True)
    return {
        "by degree": Order(*(np.argsort(-degrees, kind="stable") for degrees in degrees_of(matrix))),
        "reverse Cuthill-McKee": Order(nodes[nodes < n_users], nodes[nodes >= n_users] - n_users),
        "barycenters": barycenters(matrix),
    }


def degrees_of(matrix: sparse.csr_array) -> tuple[ndarray, ndarray]:
    """Numbers of interactions of users and items."""
    return np.diff(matrix.indptr), np.bincount(matrix.indices, minlength=matrix.shape[1])


def adjacency(matrix: sparse.csr_array) -> sparse.csr_array:
    """Users and items as nodes of one graph."""
    return sparse.block_array([[None, matrix], [matrix.T, None]], format="csr")


def barycenters(matrix: sparse.csr_array) -> Order:
    """Each side in turn is sorted by the mean position of its neighbors, which gathers communities."""
    of_users, of_items = (np.maximum(degrees, 1) for degrees in degrees_of(matrix))
    transposed = sparse.csr_array(matrix.T)
    items = np.random.default_rng(0).random(matrix.shape[1])
    for _ in range(BARYCENTERS):
        users = positions(matrix @ items / of_users)
        items = positions(transposed @ users / of_items)
    return Order(np.argsort(users), np.argsort(items))


def positions(values: ndarray) -> ndarray:
    """Positions in the sorted order, from 0 to 1."""
    places = np.empty(len(values))
    places[np.argsort(values)] = np.arange(len(values)) / len(values)
    return places


def reordered(matrix: sparse.csr_array, order: Order) -> sparse.csr_array:
    """The matrix with its rows and columns in an order."""
    found = sparse.csr_array(matrix[order.users][:, order.items])
    found.sort_indices()
    return found


def times(
    matrix: sparse.csr_array, found: Mapping[str, Order], widths: Sequence[int], rounds: int
) -> Iterator[dict[str, Any]]:
    """A row for each width and order."""
    graphs = {"as given": Graph(adjacency(matrix), symmetric=True)}
    graphs |= {name: Graph(adjacency(reordered(matrix, order)), symmetric=True) for name, order in found.items()}
    n_nodes = sum(matrix.shape)
    rows = torch.from_numpy(np.random.default_rng(1).permutation(n_nodes))
    for width in widths:
        dense = torch.randn(n_nodes, width)
        every: dict[str, Callable[[], object]] = {
            name: lambda graph=graph, of=dense: graph(of) for name, graph in graphs.items()
        }
        every["rows of a dense matrix permuted"] = lambda of=dense: of.index_select(0, rows)
        taken = [{name: milliseconds(work) for name, work in every.items()} for _ in range(rounds + 1)][1:]
        for name in every:
            ratio = median(one[name] / one["as given"] for one in taken)
            yield {
                "width": width,
                "order": name,
                "ms": round(median(one[name] for one in taken), 1),
                "ratio": round(ratio, 3),
            }


def milliseconds(work: Callable[[], object]) -> float:
    """CPU time."""
    started = time.process_time()
    work()
    return 1000 * (time.process_time() - started)


def misses(matrix: sparse.csr_array, found: Mapping[str, Order], cache: float) -> Iterator[dict[str, Any]]:
    """A row for each order: the fraction of gathered rows that are not in the cache."""
    stream = np.random.default_rng(1)
    shuffled = Order(stream.permutation(matrix.shape[0]), stream.permutation(matrix.shape[1]))
    for name, order in {"shuffled": shuffled, **found}.items():
        gathered = reordered(matrix, order)
        halves = (gathered.indices, sparse.csr_array(gathered.T).indices)
        missed = sum(missed_by(int(cache * sum(matrix.shape)), half.tolist()) for half in halves)
        yield {"order": name, "cache": cache, "misses": round(missed / (2 * matrix.nnz), 3)}


def missed_by(size: int, rows: Sequence[int]) -> int:
    """How many of these reads a cache of so many rows misses."""
    kept: OrderedDict[int, None] = OrderedDict()
    count = 0
    for row in rows:
        if row in kept:
            kept.move_to_end(row)
            continue
        count += 1
        kept[row] = None
        if len(kept) > size:
            kept.popitem(last=False)
    return count


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in SIZE.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--communities", type=int, default=0)
    parser.add_argument("--widths", default="64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, help="count misses on these data instead")
    parser.add_argument("--cache", type=float, default=0.1, help="fraction of all rows that the cache holds")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    tune_malloc()
    widths = [int(width) for width in given.widths.split(",")]
    if given.data is not None:
        matrix, known = load_data(given.data).interactions.matrix("train"), {}
    else:
        matrix, known = drawn(given)
    found = {**orders(matrix), **known}
    rows = misses(matrix, found, given.cache) if given.data else times(matrix, found, widths, given.rounds)
    record(rows, given.out, communities=given.communities, data=str(given.data or ""))


if __name__ == "__main__":
    main()
