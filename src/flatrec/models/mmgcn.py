"""MMGCN: one graph network per modality, held together by shared id embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, cast

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.graphs.epoch_graph import EpochGraph
from flatrec.graphs.interaction import mean_graphs
from flatrec.graphs.training_edges import both_means
from flatrec.models.base import Cold, Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables
from flatrec.models.layers import xavier_linear, xavier_normal
from flatrec.models.losses import beside_preferences, gather_embeddings, image_square, mean_squares
from flatrec.models.settings import FeatureConfig, GraphConfig, GraphDropoutConfig, WeightedEdgesConfig
from flatrec.ops.bipartite import as_tables, neighbor_products, split_table
from flatrec.ops.matmul import Linear, linear_of_blocks
from flatrec.ops.normalize import l2_normalize
from flatrec.ops.spmm import Graph
from flatrec.utils.ranges import NonNegativeFloat, PositiveInt, PositiveLayerCount


class MMGCN(Model):
    """MMGCN (Wei et al., ACM MM 2019, https://doi.org/10.1145/3343031.3351034).

    With M the row mean over neighbors, Z the id embeddings, which all modalities share, and unit() bringing rows to
    length 1; for every modality, P holds one preference vector per user and F the features (of images mapped to
    ``hidden_dim`` columns), for l = 1..L:

        x_0 = unit([P ; F])
        h_l = lrelu(M (x_(l-1) Wc_l))
        g_l = lrelu(x_(l-1) Wl_l + b) + Z
        x_l = lrelu([h_l, g_l] Wg_l + b)
        H = mean over modalities of x_L
        loss = BPR(H) + reg_weight * (ids + preferences)
        ids = mean of Z[u]^2 + (mean of Z[p]^2 + mean of Z[n]^2) / 2 over the batch
        preferences = mean of P^2 over all users, of images alone

    Free rows are the batch's rows of Z, and its users' rows of P of every modality. Rows of P are brought to length 1
    before they are used, so that a penalty on them acts on the size of their steps alone.

    As in the released code: the modalities are averaged, where the paper adds them up; the last layer counts alone;
    only images (the modality called ``image``) are mapped, and only their preferences are penalized.

    Deviations: the release keeps Z and P outside its parameters, so that they are never trained; here all tables are
    trained. It always has three layers, whatever is set, and ranks by what the last training forward left behind;
    here ``n_layers`` is obeyed, and every evaluation propagates again. BPR is finite for any margin.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = MMGCN(data, MMGCN.Config(embedding_dim=8, hidden_dim=16))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, GraphConfig, FeatureConfig):
        """Settings of MMGCN.

        Args:
            hidden_dim: columns that image features are mapped to.
            reg_weight: weight of the squares.
        """

        n_layers: PositiveLayerCount = 3
        hidden_dim: PositiveInt = 256
        reg_weight: NonNegativeFloat = 1e-3

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    COLD: ClassVar[Cold] = "features"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.reg_weight": (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 0.1),
        "optimizer.lr": (1e-4, 5e-4, 1e-3, 5e-3, 1e-2),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        embedding_dim = self.config.embedding_dim
        self.loss_weights = {"squares": self.config.reg_weight}
        self.nodes = xavier_normal(dataset.n_users + dataset.n_items, embedding_dim)
        self.features = FeatureTables(
            dataset, missing_modality=self.config.missing_modality, normalized=dataset.features.keys() - {"image"}
        )
        named = dict(zip(self.features.names, self.features.widths, strict=True))
        self.maps = nn.ModuleDict(
            {name: Linear(width, self.config.hidden_dim) for name, width in named.items() if name == "image"}
        )
        widths = [self.config.hidden_dim if name in self.maps else width for name, width in named.items()]
        self.preferences = nn.ParameterList(xavier_normal(dataset.n_users, width) for width in widths)
        self.networks = nn.ModuleList(
            nn.ModuleList(
                _Layer(
                    embedding_dim if layer else width,
                    embedding_dim,
                    first=layer == 0,
                    message_dropout=self.config.message_dropout,
                )
                for layer in range(self.config.n_layers)
            )
            for width in widths
        )
        self.graphs = EpochGraph(
            dataset.interactions,
            partial(_both_means, weighted=self.config.weighted_edges),
            self.config.edge_dropout,
            partial(both_means, weighted=self.config.weighted_edges),
        )

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graphs with dropped edges."""
        self.graphs.draw(generator)

    def encode(self) -> Encoded:
        """The mean over modalities."""
        ids = split_table(self.nodes, self.sizes)
        to_users, to_items = (cast(Graph, graph) for graph in self.graphs.current())
        outcomes = []
        tables = zip(self.features.names, self.features(), self.preferences, self.networks, strict=True)
        for name, table, preference, network in tables:
            items = l2_normalize(self.maps[name](table)) if name in self.maps else table
            hidden = as_tables(l2_normalize(preference), items)
            for layer in cast(nn.ModuleList, network):
                hidden = layer(to_users, to_items, hidden, ids)
            outcomes.append(torch.cat(hidden))
        return Encoded(torch.stack(outcomes).mean(dim=0))

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR, the squares of id rows, and those of preferences."""
        rows = partial(gather_embeddings, self.nodes, batch, self.sizes[0])
        penalties = self.penalty_terms(
            lambda: {
                "squares/ids": mean_squares(*rows()),
                "squares/preferences": image_square(dict(zip(self.features.names, self.preferences, strict=True))),
            },
            lambda: beside_preferences(rows(), batch, self.preferences),
        )
        blocks = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        return {"ranking": self.ranking(*blocks, batch), **penalties}


def _both_means(interactions: Interactions, *, weighted: bool) -> nn.ModuleList:
    return nn.ModuleList(mean_graphs(interactions, weighted=weighted))


class _Layer(nn.Module):
    def __init__(self, width: int, dim: int, *, first: bool, message_dropout: float = 0.0) -> None:
        super().__init__()
        self.message_dropout = message_dropout
        self.convolution = xavier_normal(width, width)
        self.own = xavier_linear(width, dim)
        # The release draws the first of these otherwise than the rest.
        self.joined = xavier_linear(width + dim, dim) if first else Linear(width + dim, dim)

    def forward(self, to_users: Graph, to_items: Graph, hidden: list[Tensor], ids: list[Tensor]) -> list[Tensor]:
        """The tables of users and items after the layer, given those before it."""
        means = neighbor_products(to_users, to_items, hidden, self.convolution)
        return [self._joined(*rows) for rows in zip(means, hidden, ids, strict=True)]

    def _joined(self, mean: Tensor, before: Tensor, ids: Tensor) -> Tensor:
        near = F.dropout(F.leaky_relu(mean, inplace=True), self.message_dropout, self.training)
        own = F.leaky_relu(self.own(before), inplace=True) + ids
        return F.leaky_relu(linear_of_blocks([near, own], self.joined.weight, self.joined.bias), inplace=True)
