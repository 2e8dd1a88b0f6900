"""A graph of the training interactions of which each epoch drops some edges."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import torch
from torch import Generator, nn

from flatrec.data.interactions import Interactions
from flatrec.graphs import training_edges
from flatrec.graphs.interaction import entries, training_graph
from flatrec.graphs.training_edges import TrainingEdges, Weighting
from flatrec.ops.spmm import Graph
from flatrec.utils.devices import drawing, generator_on

GraphT = TypeVar("GraphT", bound=nn.Module)


class EpochGraph(nn.Module, Generic[GraphT]):
    """The graph of all training interactions, and one with dropped edges, drawn again for each epoch.

    Edge dropout is that of SGL (Wu et al., SIGIR 2021, https://arxiv.org/abs/2010.10783, section 3.1.1): every
    interaction is equally likely to be left out, in both directions at once, and the graph of the others is normalized
    by its own degrees. SGL drops edges to make two views for a contrast; here the one graph is what training
    propagates over, as in FREEDOM and LayerGCN, and a fixed number of edges is dropped instead of each edge with a
    fixed probability. Evaluation uses the graph of all interactions.

    Args:
        interactions: the training interactions.
        build: makes the graph of interactions, such as :func:`flatrec.graphs.interaction.training_graph`.
        edge_dropout: fraction of the training interactions to leave out of each epoch's graph, in [0, 1).
        rebuild: makes the same graph of the interactions that are left on a device that draws them itself, such as
            :func:`flatrec.graphs.training_edges.symmetric_graph`. Without it all graphs are made on the CPU and copied.

    Example:
        >>> from flatrec.graphs.interaction import training_graph
        >>> from flatrec.testing import block_dataset
        >>> graph = EpochGraph(block_dataset().interactions, training_graph, edge_dropout=0.5)
        >>> graph.draw(torch.Generator())
        >>> graph.current().coo().nnz < graph.eval().current().coo().nnz
        True
    """

    def __init__(
        self,
        interactions: Interactions,
        build: Callable[[Interactions], GraphT],
        edge_dropout: float,
        rebuild: Callable[[TrainingEdges], GraphT] | None = None,
    ) -> None:
        super().__init__()
        self.interactions, self.build, self.edge_dropout = interactions, build, edge_dropout
        self.rebuild = rebuild
        self._edges: TrainingEdges | None = None  # on the device, once it has drawn
        self.full: GraphT = build(interactions)
        self.dropped: GraphT = self.full

    def draw(self, generator: Generator, weighting: Weighting = "uniform") -> None:
        """Draw the epoch's graph; equal states of the generator give equal graphs, and without dropout none is used.

        A GPU by CUDA draws it itself, with a generator that the given one seeds: from the same distribution as on the
        CPU, but another graph.
        """
        if self.edge_dropout == 0:
            return
        device = next(self.full.buffers()).device
        if self.rebuild is not None and drawing(device).type != "cpu":
            own = generator_on(device, generator)
            self.dropped = self.rebuild(self._edges_on(device).drop(self.edge_dropout, own, weighting))
            return
        subset = drop_edges(self.interactions, self.edge_dropout, generator, weighting)
        self.dropped = self.build(subset).to(device)

    def _edges_on(self, device: torch.device) -> TrainingEdges:
        """All training interactions on a device, copied once."""
        if self._edges is None or self._edges.users.device != device:
            self._edges = TrainingEdges.of(self.interactions, device)
        return self._edges

    def current(self) -> GraphT:
        """The graph to propagate over: the epoch's in training mode, the full one in evaluation mode."""
        return self.dropped if self.training else self.full


def training_epoch_graph(interactions: Interactions, *, weighted: bool, edge_dropout: float) -> EpochGraph[Graph]:
    """Return the normalized user-item graph whose edges each epoch drops.

    Args:
        interactions: the training interactions.
        weighted: whether edges count by the weights of the interactions.
        edge_dropout: fraction of the training interactions to leave out of each epoch's graph, in [0, 1).
    """
    build = partial(training_graph, weighted=weighted)
    return EpochGraph(interactions, build, edge_dropout, partial(training_edges.symmetric_graph, weighted=weighted))


def drop_edges(
    interactions: Interactions, rate: float, generator: Generator, weighting: Weighting = "degree"
) -> Interactions:
    """Return a random subset of the training interactions, in their order.

    int(n_interactions * (1 - rate)) interactions, as floats round it, are drawn without replacement. With ``degree``
    the probability of each is proportional to its entry in the full graph without weights, so that interactions of busy
    users and popular items are dropped first (FREEDOM, section 3.2); with ``uniform`` all are equally likely. Weights
    of interactions play no part in the draw, so that they count once: in the entries of the graph. The draw takes the
    largest of independent exponential keys, which is the same distribution as drawing one by one and, unlike
    ``torch.multinomial``, has no limit on the number of interactions.

    Args:
        interactions: the training interactions to draw from.
        rate: fraction of the interactions to drop, in [0, 1).
        generator: decides which ones are dropped; equal states give equal subsets.
        weighting: what the probabilities depend on.
    """
    masses = torch.from_numpy(entries(interactions, *interactions.indices("train")))
    if weighting == "uniform":
        masses = torch.ones_like(masses)
    keys = masses.log() - torch.empty_like(masses).exponential_(generator=generator).log()
    drawn = keys.topk(int(len(masses) * (1 - rate)), sorted=False).indices.sort().values.numpy()
    return interactions.take(interactions.mask("train").nonzero()[0][drawn])
