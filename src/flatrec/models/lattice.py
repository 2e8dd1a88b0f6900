"""LATTICE: an item graph learned from features, mixed with the one they begin with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal, cast

import torch
from jaxtyping import Float
from scipy import sparse
from torch import Generator, Tensor, nn

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.cosine import cosine_graph, edge_matrix, normalized_by_row_sums
from flatrec.graphs.device_csr import entry_rows, graph_of
from flatrec.graphs.epoch_graph import EpochGraph
from flatrec.graphs.interaction import random_walk_graph
from flatrec.graphs.knn import nearest_rows
from flatrec.graphs.training_edges import random_walk
from flatrec.models.base import Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables, filled_features
from flatrec.models.layers import node_table
from flatrec.models.losses import gather_embeddings, half_squares
from flatrec.models.settings import GraphDropoutConfig, ItemGraphConfig
from flatrec.ops.columns import Columns, whole_rows
from flatrec.ops.matmul import Linear, linear
from flatrec.ops.normalize import l2_normalize, l2_normalize_, unit_rows
from flatrec.ops.propagation import propagate
from flatrec.ops.sddmm import Edges
from flatrec.ops.spmm import Graph
from flatrec.utils.ranges import Fraction, NonNegativeFloat, PositiveInt


class LATTICE(Model):
    """LATTICE (Zhang et al., ACM MM 2021, https://arxiv.org/abs/2104.09036).

    TOP(F) holds the cosines of all pairs of rows of F, of which each row keeps the k largest, the item itself included;
    LAP(S) = D^(-1/2) S D^(-1/2), D the row sums of S. With a the softmax of one free weight per modality, V_m = F_m W_m
    + b_m, A the adjacency of the user-item graph, D its row sums with self loops, and unit() bringing rows to length 1:

        S = (1 - raw_fraction) LAP(sum of a_m TOP(V_m)) + raw_fraction * sum of a_m LAP(TOP(raw F_m))
        h = S^(L_ii) E_item
        G = mean of layers 0..L of D^(-1) (A + I) on [E_user ; E_item]
        user u = G[u]
        item i = G[i] + unit(h)[i]
        loss = BPR + reg_weight * half the squares of the batch's final rows / reg_rows

    Free rows are the batch's rows of E_user and E_item.

    As in the released code: features are trained, starting from the raw ones; gradients flow through S in the first
    step of an epoch only, which is how the graph is learned, and S is frozen as it was at that step's start for the
    rest of it; evaluation builds it again. Each time costs O(n_items^2 modality_dim). The squares are divided by the
    configured batch size, however many interactions the batch has: set ``reg_rows`` together with
    ``training.batch_size``. The release searches the learning rate in 1e-4 to 5e-3 and lets it fall by 4 % every 50
    epochs, which is left to the optimizer's settings here. There is no ``weighted_edges``: a self loop counts as much
    as one interaction without a weight, which says nothing beside weights of any unit. Dropout of edges and messages is
    about the user-item graph; self loops stay.

    Deviations: the release lets the loss itself find out that a step is the first of its epoch, so that the second pass
    of a two-pass strategy differentiates another function; here the hooks say so, and all passes of a step agree.
    Where a row sum is negative the release gives NaN, and where cosines cancel, rounding decides; here LAP leaves a row
    and its column empty whose sum is below a ten-thousandth of that of its absolute entries. No n_items x n_items
    matrix is held.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = LATTICE(data, LATTICE.Config(embedding_dim=8, n_neighbors=3))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features, or fewer items than ``n_neighbors``.
    """

    class Config(GraphDropoutConfig, ItemGraphConfig):
        """Settings of LATTICE.

        Args:
            modality_dim: width of the space in which similarity is learned.
            raw_fraction: weight of the graph of raw features, beside 1 - raw_fraction of the learned one.
            reg_weight: weight of the squares.
            reg_rows: number that the squares are divided by, namely the batch size.
            features: whether the feature tables are trained or frozen.
        """

        modality_dim: PositiveInt = 64
        raw_fraction: Fraction = 0.9
        reg_weight: NonNegativeFloat = 1e-4
        reg_rows: PositiveInt = 2048
        features: Literal["trained", "frozen"] = "trained"

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    COLUMNS: ClassVar[Mapping[str, Columns]] = {
        "nodes": Columns(1),
        "projections.*": Columns(0),
        "modality_weights": Columns(0),
    }
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.reg_weight": (0.0, 1e-5, 1e-4, 1e-3),
        "optimizer.lr": (1e-4, 5e-4, 1e-3, 5e-3),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.loss_weights = {"squares": self.config.reg_weight}
        self.nodes = node_table(dataset, self.config.embedding_dim)
        self.features = FeatureTables(
            dataset, missing_modality=self.config.missing_modality, trained=self.config.features == "trained"
        )
        self.projections = nn.ModuleList(Linear(width, self.config.modality_dim) for width in self.features.widths)
        self.modality_weights = nn.Parameter(torch.full((len(self.features),), 0.5))
        self.graph = EpochGraph(dataset.interactions, random_walk_graph, self.config.edge_dropout, random_walk)
        raw = filled_features(dataset, self.config.missing_modality)
        self.raw_graphs = nn.ModuleList(
            cosine_graph(raw[name], self.config.n_neighbors) for name in self.features.names
        )
        self.fresh = True  # whether this step learns the item graph
        self.frozen: Graph | None = None

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's user-item graph, freeze the item graph as it is now, and let the first step learn it."""
        self.graph.draw(generator)
        if self.config.n_item_layers == 0:
            return
        with torch.no_grad():
            on_cpu = self.nodes.device.type == "cpu"
            self.frozen = self._frozen() if on_cpu else self._frozen_on_device()
        self.fresh = True

    def on_step_end(self) -> None:
        """The rest of the epoch has the frozen graph."""
        self.fresh = False

    def encode(self) -> Encoded:
        """Items over the item graph of this step, then everything over the user-item graph."""
        alike = self.nodes[self.sizes[0] :]
        if self.training and not self.fresh and self.frozen is not None:
            alike = propagate(self.frozen, alike, self.config.n_item_layers, reduce="last")
        elif self.config.n_item_layers > 0:
            weights, raw_fraction = whole_rows(self.modality_weights).softmax(dim=0), self.config.raw_fraction
            edges, values = self._learned(weights)
            for _ in range(self.config.n_item_layers):
                raw = [weight * graph(alike) for weight, graph in zip(weights, self.raw_graphs, strict=True)]
                learned = edges.product(values, alike)
                alike = (1 - raw_fraction) * learned + raw_fraction * torch.stack(raw).sum(dim=0)
        users, items = propagate(
            self.graph.current(),
            self.nodes,
            self.config.n_layers,
            reduce="mean",
            dropout=self.config.message_dropout,
            training=self.training,
        ).split(self.sizes)
        return Encoded(torch.cat([users, items + unit_rows(alike)]))

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR and half the squares of the final rows over ``reg_rows``."""
        blocks = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        penalties = self.penalty_terms(
            lambda: {"squares": half_squares(*blocks) / self.config.reg_rows},
            partial(gather_embeddings, self.nodes, batch, self.sizes[0]),
        )
        return {"ranking": self.ranking(*blocks, batch), **penalties}

    def _learned(self, weights: Float[Tensor, "n_modalities"]) -> tuple[Edges, Float[Tensor, "n_edges"]]:
        """LAP of the weighted sum of TOP over projected features; entries that fall together stay apart and add up."""
        n_items = self.sizes[1]
        own = torch.arange(n_items, device=weights.device)[:, None].expand(-1, self.config.n_neighbors).flatten()
        columns, values = [], []
        for weight, project, table in zip(weights, self.projections, self.features(), strict=True):
            projected = linear(table, *map(whole_rows, cast(Linear, project).parameters()))
            directions = l2_normalize_(projected.detach().float().clone())
            columns.append(nearest_rows(directions, self.config.n_neighbors).flatten())
            ends = l2_normalize(projected)
            values.append(weight * Edges(own, columns[-1], (n_items, n_items)).sddmm(ends, ends))
        edges = Edges(own.repeat(len(columns)), torch.cat(columns), (n_items, n_items))
        return edges, normalized_by_row_sums(edges, torch.cat(values))

    def _frozen(self) -> Graph:
        """The item graph as it is now, whose entries that fall together are added up."""
        weights = whole_rows(self.modality_weights).softmax(dim=0)
        learned = edge_matrix(*self._learned(weights)) * (1 - self.config.raw_fraction)
        for weight, graph in zip(weights.tolist(), self.raw_graphs, strict=True):
            learned = learned + self.config.raw_fraction * weight * cast(Graph, graph).coo()
        return Graph(sparse.csr_array(learned), symmetric=False)

    def _frozen_on_device(self) -> Graph:
        """The same without waiting for the device: how many entries fall together is known to it alone."""
        weights = whole_rows(self.modality_weights).softmax(dim=0)
        edges, learned = self._learned(weights)
        rows, columns, values = [edges.rows], [edges.columns], [(1 - self.config.raw_fraction) * learned]
        for weight, graph in zip(weights, self.raw_graphs, strict=True):
            matrix = cast(Graph, graph).matrix
            rows.append(entry_rows(matrix))
            columns.append(matrix.indices.long())
            values.append(self.config.raw_fraction * weight * matrix.values)
        return graph_of(torch.cat(rows), torch.cat(columns), torch.cat(values), edges.shape)
