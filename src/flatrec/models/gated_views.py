"""What MGCN and SMORE share: views of items by modality, purified by ids, beside what ids give over the graph."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.losses.penalties import squared_penalty
from flatrec.models.base import Encoded, Modalities, Model, Replaceable
from flatrec.models.features import FeatureTables
from flatrec.models.layers import node_table
from flatrec.models.losses import gather_embeddings, info_nce_among_all
from flatrec.models.settings import FeatureConfig, GraphConfig, GraphDropoutConfig, WeightedEdgesConfig
from flatrec.ops.matmul import Linear
from flatrec.ops.propagation import propagate
from flatrec.ops.spmm import Graph
from flatrec.utils.ranges import LayerCount, NonNegativeFloat, NonNegativeInt, PositiveFloat


class GatedViewModel(Model):
    """A model that adds a side part, made of views by modality, to the content part that ids give over the graph.

    ``encode`` of a model gives the sum of both, and each of them in ``aux`` as ``content`` and ``side``.

    Free rows are the batch's rows of E_user and E_item.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, GraphConfig, FeatureConfig):
        """Settings of such a model.

        Args:
            n_item_layers: number of propagation steps over each item graph (L_ii).
            temperature: temperature of the contrast.
            contrastive_weight: weight of the contrast.
            reg_weight: weight of the squares.
            reg_rows: number that the squares are divided by, namely the batch size in the released code; 0 for the
                number of interactions that a batch has.
            features: whether the feature tables are trained or frozen.
        """

        n_item_layers: LayerCount = 1
        temperature: PositiveFloat = 0.2
        contrastive_weight: NonNegativeFloat = 0.01
        reg_weight: NonNegativeFloat = 1e-4
        reg_rows: NonNegativeInt = 0
        features: Literal["trained", "frozen"] = "trained"

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        dim = self.config.embedding_dim
        self.loss_weights = {"contrast": self.config.contrastive_weight, "squares": self.config.reg_weight}
        self.nodes = node_table(dataset, dim)
        self.features = FeatureTables(
            dataset, missing_modality=self.config.missing_modality, trained=self.config.features == "trained"
        )
        self.projections = nn.ModuleList(Linear(width, dim) for width in self.features.widths)
        self.purifiers = nn.ModuleList(Linear(dim, dim) for _ in self.features.names)
        self.preference_gates = nn.ModuleList(Linear(dim, dim) for _ in self.features.names)
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges."""
        self.graph.draw(generator)

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The ranking loss, the contrasts of the side part with the content part, and the squares of final rows."""
        blocks = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        squares = self.penalty_terms(
            lambda: {"squares": squared_penalty(*blocks) * len(batch) / (self.config.reg_rows or len(batch))},
            partial(gather_embeddings, self.nodes, batch, self.sizes[0]),
        )
        contrasts = {
            "contrast/users": self._contrast(encoded, batch.users),
            "contrast/items": self._contrast(encoded, batch.positives + self.sizes[0]),
        }
        return {"ranking": self.ranking(*blocks, batch), **contrasts, **squares}

    def content(self) -> Float[Tensor, "n_nodes dim"]:
        """The mean of the layers of the ids over the user-item graph."""
        return self._over_graph(self.nodes, self.config.n_layers, "mean")

    def view(
        self, purifier: nn.Module, projected: Float[Tensor, "n_items dim"], item_graph: Graph
    ) -> Float[Tensor, "n_nodes dim"]:
        """Items by ids that features gate, spread over the item graph, and users by the items they bought."""
        ids = self.nodes[self.sizes[0] :]
        alike = propagate(item_graph, ids * purifier(projected).sigmoid(), self.config.n_item_layers, reduce="last")
        users = alike.new_zeros(self.sizes[0], alike.shape[1])
        return self._over_graph(torch.cat([users, alike]), 1, "sum")  # users begin empty, so that items stay

    def _over_graph(self, nodes: Tensor, n_layers: int, reduce: Literal["mean", "sum"]) -> Tensor:
        graph, dropout = self.graph.current(), self.config.message_dropout
        return propagate(graph, nodes, n_layers, reduce, dropout=dropout, training=self.training)

    def _contrast(self, encoded: Encoded, nodes: Tensor) -> Tensor:
        """The side part of the batch's nodes against their content part, the mean over the batch."""
        side, content = (F.embedding(nodes, encoded.aux[name]) for name in ("side", "content"))
        return info_nce_among_all(side, content, content, self.config.temperature) / len(nodes)
