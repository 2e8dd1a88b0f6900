"""Training interactions on a device, some of which an epoch drops, and the graphs of those that are left.

What :mod:`flatrec.graphs.interaction` makes by SciPy for the CPU, made on a GPU without waiting for it: how many edges
are left is known beforehand, so that no size follows from values. Values differ from those of the CPU by rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn

from flatrec.data.interactions import Interactions
from flatrec.graphs.device_csr import csr, graph_of
from flatrec.graphs.interaction import DEGREE_OFFSET
from flatrec.ops.counts import counts
from flatrec.ops.sddmm import Edges
from flatrec.ops.spmm import Graph

Weighting: TypeAlias = Literal["degree", "uniform"]


@dataclass(frozen=True, eq=False)
class TrainingEdges:
    """Training interactions on a device.

    Args:
        users: the user of each interaction.
        items: its item.
        weights: its weight; None if all count the same.
        sizes: number of users and of items.
    """

    users: Int64[Tensor, "n_edges"]
    items: Int64[Tensor, "n_edges"]
    weights: Float[Tensor, "n_edges"] | None
    sizes: tuple[int, int]

    @classmethod
    def of(cls, interactions: Interactions, device: torch.device) -> TrainingEdges:
        """Return all training interactions, copied to a device."""
        users, items = (torch.from_numpy(one.astype("int64")).to(device) for one in interactions.indices("train"))
        weights = None if interactions.weights is None else interactions.weights[interactions.mask("train")]
        sizes = interactions.n_users, interactions.n_items
        return cls(users, items, None if weights is None else torch.from_numpy(weights).to(device), sizes)

    def drop(self, rate: float, generator: Generator, weighting: Weighting) -> TrainingEdges:
        """Return a random subset in its order, by the distribution of :func:`flatrec.graphs.epoch_graph.drop_edges`.

        Args:
            rate: fraction of the interactions to drop, in [0, 1).
            generator: of this device; decides which ones are dropped.
            weighting: what the probabilities depend on.
        """
        keys = -exponentials(len(self.users), generator, self.users.device).log()
        if weighting == "degree":
            keys = keys + symmetric_entries(self.unweighted()).log()
        kept = keys.topk(int(len(keys) * (1 - rate)), sorted=False).indices.sort().values
        weights = None if self.weights is None else self.weights[kept]
        return replace(self, users=self.users[kept], items=self.items[kept], weights=weights)

    def unweighted(self) -> TrainingEdges:
        """Return the same edges, which all count the same."""
        return replace(self, weights=None)

    def degrees(self) -> tuple[Float[Tensor, "n_users"], Float[Tensor, "n_items"]]:
        """Return the sum of the weights of the edges of each user and each item; their number without weights."""
        ends = zip((self.users, self.items), self.sizes, strict=True)
        if self.weights is None:
            users, items = (counts(indices, size).double() for indices, size in ends)
        else:
            weights = self.weights.double()
            users, items = (weights.new_zeros(size).index_add_(0, indices, weights) for indices, size in ends)
        return users, items

    def ends(self) -> tuple[Int64[Tensor, "n_both"], Int64[Tensor, "n_both"]]:
        """Return both ends of the edges from users to items, then from items to users; item nodes follow user nodes."""
        shifted = self.items + self.sizes[0]
        return torch.cat([self.users, shifted]), torch.cat([shifted, self.users])


def exponentials(count: int, generator: Generator, device: torch.device) -> Float[Tensor, "count"]:
    """Return independent draws of the exponential distribution with mean 1, in float64."""
    return -torch.log1p(-torch.rand(count, generator=generator, dtype=torch.float64, device=device))


def symmetric_entries(edges: TrainingEdges) -> Float[Tensor, "n_edges"]:
    """Return the entry of each edge in the symmetrically normalized graph, but for its own weight."""
    users, items = edges.degrees()
    return ((users + DEGREE_OFFSET)[edges.users] * (items + DEGREE_OFFSET)[edges.items]).rsqrt()


def symmetric_graph(edges: TrainingEdges, *, weighted: bool = False) -> Graph:
    """Return the graph of :func:`flatrec.graphs.interaction.training_graph`."""
    edges = edges if weighted else edges.unweighted()
    values = symmetric_entries(edges)
    values = values if edges.weights is None else edges.weights * values
    return _symmetric(edges, torch.cat([values, values]), *edges.ends())


def self_loop_graph(edges: TrainingEdges) -> Graph:
    """Return the graph of :func:`flatrec.graphs.interaction.training_self_loop_graph`."""
    rows, columns = _looped(edges)
    roots = (torch.cat(edges.unweighted().degrees()) + 1).rsqrt()
    return _symmetric(edges, roots[rows] * roots[columns], rows, columns)


def random_walk(edges: TrainingEdges) -> Graph:
    """Return the graph of :func:`flatrec.graphs.interaction.random_walk_graph`."""
    rows, columns = _looped(edges)
    values = (torch.cat(edges.unweighted().degrees()) + 1).reciprocal()[rows]
    n_nodes = sum(edges.sizes)
    return graph_of(rows, columns, values, (n_nodes, n_nodes))


def both_means(edges: TrainingEdges, *, weighted: bool = False) -> nn.ModuleList:
    """Return the graphs of :func:`flatrec.graphs.interaction.mean_graphs`."""
    edges = edges if weighted else edges.unweighted()
    ones = torch.ones_like(edges.users, dtype=torch.float64)
    values = ones if edges.weights is None else edges.weights.double()
    users, items = edges.degrees()
    return _halves(edges, values / users[edges.users], values / items[edges.items])


def both_root_degrees(edges: TrainingEdges) -> nn.ModuleList:
    """Return the graphs of :func:`flatrec.graphs.interaction.root_degree_graphs`."""
    users, items = edges.unweighted().degrees()
    return _halves(edges, users.rsqrt()[edges.users], items.rsqrt()[edges.items])


def node_edges(edges: TrainingEdges) -> Edges:
    """Return the edges in both directions, whose values are learned."""
    sources, targets = edges.ends()
    n_nodes = sum(edges.sizes)
    return Edges(targets, sources, (n_nodes, n_nodes))


def _looped(edges: TrainingEdges) -> tuple[Tensor, Tensor]:
    """Both ends of all edges and of a self loop at every node."""
    loops = torch.arange(sum(edges.sizes), device=edges.users.device)
    rows, columns = (torch.cat([end, loops]) for end in edges.ends())
    return rows, columns


def _symmetric(edges: TrainingEdges, values: Tensor, rows: Tensor, columns: Tensor) -> Graph:
    n_nodes = sum(edges.sizes)
    matrix = csr(rows, columns, values, (n_nodes, n_nodes))
    return Graph.of(matrix, matrix, (n_nodes, n_nodes))


def _halves(edges: TrainingEdges, to_users: Tensor, to_items: Tensor) -> nn.ModuleList:
    n_users, n_items = edges.sizes
    first = graph_of(edges.users, edges.items, to_users, (n_users, n_items))
    return nn.ModuleList([first, graph_of(edges.items, edges.users, to_items, (n_items, n_users))])
