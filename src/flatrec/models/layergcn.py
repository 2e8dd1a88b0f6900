"""LayerGCN: propagation whose layers are weighted by their similarity to the embeddings, over a pruned graph."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Int64
from torch import Generator, Tensor

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.models.base import Encoded, Model, Replaceable, SearchSpace
from flatrec.models.layers import node_table
from flatrec.models.losses import gather_embeddings, half_squares
from flatrec.models.settings import GraphConfig, GraphDropoutConfig, WeightedEdgesConfig
from flatrec.ops.columns import Columns
from flatrec.ops.propagation import propagate_by_similarity
from flatrec.utils.ranges import DropoutRate, NonNegativeFloat, PositiveLayerCount


class LayerGCN(Model):
    """LayerGCN (Zhou et al., ICDE 2023, https://arxiv.org/abs/2207.11088).

    With M the symmetrically normalized user-item graph and X the embeddings, for l = 1..L and every node v:

        h_0 = X
        z_l = M h_(l-1)
        h_l[v] = cos(z_l[v], X[v]) z_l[v]
        H = h_1 + ... + h_L, layer 0 not included
        loss = sum of -ln sigma(margin) + reg_weight * half the squares of the batch's rows of X

    Both are sums over the batch, not means, as is any other penalty, of the batch's rows of X. Training propagates over
    a graph pruned once per epoch, degrees counted again; epochs alternate between draws by degree (the first) and
    uniform ones. Ranking uses the full graph. As in the released code, the similarity gets no small constant added.
    With ``weighted_edges`` both graphs have weights, but which edges are pruned does not depend on them.

    Deviations: the count of epochs that decides which draw is next is part of the model's state, so that a resumed run
    draws what an uninterrupted one would.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = LayerGCN(data, LayerGCN.Config(embedding_dim=8))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, GraphConfig):
        """Settings of LayerGCN.

        Args:
            edge_dropout: fraction of the training interactions left out of each epoch's graph.
            reg_weight: weight of the squares.
        """

        n_layers: PositiveLayerCount = 4
        edge_dropout: DropoutRate = 0.1
        reg_weight: NonNegativeFloat = 1e-3

    config: Config
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    COLUMNS: ClassVar[Mapping[str, Columns]] = {"nodes": Columns(1)}
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.edge_dropout": (0.0, 0.1, 0.2),
        "model.reg_weight": (1e-2, 1e-3, 1e-4, 1e-5),
    }
    epochs: Int64[Tensor, ""]

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.loss_weights = {"squares": self.config.reg_weight}
        self.nodes = node_table(dataset, self.config.embedding_dim)
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )
        self.register_buffer("epochs", torch.zeros((), dtype=torch.int64))  # begun so far

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's pruned graph: by degree in odd epochs, uniformly in even ones."""
        self.graph.draw(generator, "degree" if self.epochs % 2 == 0 else "uniform")
        self.epochs += 1

    def encode(self) -> Encoded:
        """The sum of the weighted layers."""
        graph, dropout = self.graph.current(), self.config.message_dropout
        return Encoded(
            propagate_by_similarity(graph, self.nodes, self.config.n_layers, dropout=dropout, training=self.training)
        )

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR summed over the batch, and half the squares of the rows before propagation."""
        rows = partial(gather_embeddings, self.nodes, batch, self.sizes[0])
        ranking = self.ranking(*gather_embeddings(encoded.node_embeddings, batch, self.sizes[0]), batch)
        penalties = self.penalty_terms(lambda: {"squares": half_squares(*rows()) / len(batch)}, rows)
        return {name: term * len(batch) for name, term in {"ranking": ranking, **penalties}.items()}
