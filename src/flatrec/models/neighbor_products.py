"""What NGCF and FourierKAN-GCF share: layers that see the products of a node's embedding with its neighbors'."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.device_csr import entry_rows
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.losses.penalties import norm_penalty
from flatrec.models.base import Encoded, Model, Replaceable
from flatrec.models.layers import node_table
from flatrec.models.losses import gather_embeddings
from flatrec.models.settings import EmbeddingConfig, GraphDropoutConfig, WeightedEdgesConfig
from flatrec.ops.normalize import l2_normalize
from flatrec.ops.sddmm import Edges
from flatrec.utils.ranges import DropoutRate, NonNegativeFloat

SLOPE = 0.2  # of the leaky ReLU


class NeighborProductModel(Model):
    """A model whose layers are made of a node's rows and of the sum over its neighbors, and stand side by side.

    Free rows are the batch's rows of X, which is layer 0.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, EmbeddingConfig):
        """Settings of such a model.

        Args:
            message_dropout: fraction of a layer's outputs set to zero in training.
            node_dropout: fraction of the graph's entries left out at every step of training.
            reg_weight: weight of the norms.
        """

        message_dropout: DropoutRate = 0.1
        node_dropout: DropoutRate = 0.0
        reg_weight: NonNegativeFloat = 1e-5

    config: Config
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.loss_weights = {"norms": self.config.reg_weight}
        self.nodes = node_table(dataset, self.config.embedding_dim, nn.init.xavier_normal_)
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )
        self.edges = self._edges() if self.config.node_dropout > 0 else None

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges; entries of it are then left out at every step."""
        self.graph.draw(generator)
        if self.edges is not None and self.config.edge_dropout > 0:
            self.edges = self._edges()

    @property
    @abstractmethod
    def depth(self) -> int:
        """The number of layers after layer 0."""

    @abstractmethod
    def combined(
        self, layer: int, hidden: Float[Tensor, "n_nodes width"], near: Float[Tensor, "n_nodes width"]
    ) -> Float[Tensor, "n_nodes dim"]:
        """What a layer makes of a node's rows and the weighted sum over its neighbors, before activation."""

    def encode(self) -> Encoded:
        """All layers, side by side."""
        hidden: Tensor = self.nodes
        layers = [hidden]
        kept = self._kept()
        for layer in range(self.depth):
            near = (
                self.graph.current()(hidden) if self.edges is None or kept is None else self.edges.product(kept, hidden)
            )
            outcome = F.leaky_relu(self.combined(layer, hidden, near), SLOPE)
            hidden = l2_normalize(F.dropout(outcome, self.config.message_dropout, self.training))
            layers.append(hidden)
        return Encoded(torch.cat(layers, dim=1))

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The ranking loss, and the norms of the batch's final rows."""
        blocks = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        users, positives, negatives = (block[..., : self.config.embedding_dim] for block in blocks)  # layer 0 is X
        penalties = self.penalty_terms(lambda: {"norms": norm_penalty(*blocks)}, lambda: (users, positives, negatives))
        return {"ranking": self.ranking(*blocks, batch), **penalties}

    def _edges(self) -> Edges:
        matrix = self.graph.dropped.matrix
        return Edges(entry_rows(matrix), matrix.indices, self.graph.dropped.shape)

    def _kept(self) -> Tensor | None:
        """The graph's entries after dropout, in the order of the edges; None where nothing is dropped."""
        if self.edges is None or not self.training:
            return None
        return F.dropout(self.graph.dropped.matrix.values, self.config.node_dropout)
