"""FREEDOM: a frozen item graph from features, and a user-item graph whose edges are dropped again every epoch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.graphs.knn import fused_knn_graph
from flatrec.models.base import Defaults, Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables, filled_features
from flatrec.models.layers import node_table
from flatrec.models.losses import bpr_loss_of_differences, gather_embeddings
from flatrec.models.settings import GraphDropoutConfig, ItemGraphConfig, WeightedEdgesConfig
from flatrec.ops.columns import Columns
from flatrec.ops.matmul import Linear
from flatrec.ops.propagation import propagate
from flatrec.ops.spmm import row_differences
from flatrec.utils.ranges import DropoutRate, Fraction, NonNegativeFloat


class FREEDOM(Model):
    """FREEDOM (Zhou & Shen, ACM MM 2023, https://arxiv.org/abs/2211.06924).

    With S the weighted sum of one kNN graph per modality, from the raw features, built once and frozen, and M the
    symmetrically normalized user-item graph:

        h = S^(L_ii) E_item
        G = mean of layers 0..L of M on [E_user ; E_item]
        user u = G[u]
        item i = G[i] + h[i]
        loss = BPR(users, items) + modality_weight * sum over modalities of BPR(users, F_m W_m)

    Training propagates over a graph whose edges are dropped by degree, again every epoch; ranking uses the full
    graph. As in the released
    code: BPR is a mean over the batch; embeddings have no penalty of their own; free rows are those of E_user and
        E_item. With ``weighted_edges`` both graphs have weights,
    but which edges are dropped does not depend on them.

    Deviations: the features stay as they are, where the released code trains them, starting from the raw ones
    (``features="trained"``): scores are the same (MovieLens, five seeds), with 94 % fewer parameters on Amazon Baby
    and a step in less than half the time. The maps W have no bias, which cancels in BPR. Any number of modalities,
    where the paper has two; ``image_weight`` is the weight of the modality called ``image`` and the others divide the
    rest evenly (without such a modality, or with it alone, all weights are equal). The released code keeps its item
    graph on disk by k and a rounded weight alone, so that other features can get an old graph; here the key is the
    content.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = FREEDOM(data, FREEDOM.Config(embedding_dim=8, n_neighbors=3))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features, or fewer items than ``n_neighbors``.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, ItemGraphConfig):
        """Settings of FREEDOM.

        Args:
            image_weight: weight of the image graph among the kNN graphs.
            edge_dropout: fraction of the training interactions left out of each epoch's graph.
            modality_weight: weight of the modality losses.
            features: whether the feature tables are trained or frozen.
        """

        image_weight: Fraction = 0.1
        edge_dropout: DropoutRate = 0.8
        modality_weight: NonNegativeFloat = 1e-3
        features: Literal["trained", "frozen"] = "frozen"

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    DEFAULTS: ClassVar[Defaults] = {"optimizer.lr": 0.003, "model.edge_dropout": 0.5}
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    LINEAR: ClassVar[Collection[str]] = ("nodes", "projections.*")
    COLUMNS: ClassVar[Mapping[str, Columns]] = {"nodes": Columns(1), "projections.*.weight": Columns(0)}
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.edge_dropout": (0.8, 0.9),
        "model.modality_weight": (0.0, 1e-5, 1e-4, 1e-3),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        embedding_dim = self.config.embedding_dim
        self.nodes = node_table(dataset, embedding_dim)
        self.features = FeatureTables(
            dataset, missing_modality=self.config.missing_modality, trained=self.config.features == "trained"
        )
        self.loss_weights = dict.fromkeys([f"bpr_{name}" for name in self.features.names], self.config.modality_weight)
        self.projections = nn.ModuleList(Linear(width, embedding_dim, bias=False) for width in self.features.widths)
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )
        self.item_graph = fused_knn_graph(
            filled_features(dataset, self.config.missing_modality), self.config.n_neighbors, self.config.image_weight
        )

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges."""
        self.graph.draw(generator, "degree")

    def encode(self) -> Encoded:
        """Both propagations; the features are projected where a batch needs them."""
        graph = self.graph.current()
        users, items = propagate(
            graph,
            self.nodes,
            self.config.n_layers,
            reduce="mean",
            dropout=self.config.message_dropout,
            training=self.training,
        ).split(self.sizes)
        alike = propagate(self.item_graph, self.nodes[self.sizes[0] :], self.config.n_item_layers, reduce="last")
        return Encoded(torch.cat([users, items + alike]), dict(zip(self.features.names, self.features(), strict=True)))

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The ranking loss of the embeddings, then the BPR of each modality as ``bpr_`` with its name."""
        users, positives, negatives = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        terms = {"ranking": self.ranking(users, positives, negatives, batch)}
        n_negatives, drawn = batch.negatives.shape[1], batch.negatives.flatten()
        for (name, table), project in zip(encoded.aux.items(), self.projections, strict=True):
            gaps = project(row_differences(table, batch.positives.repeat_interleave(n_negatives), drawn))
            terms[f"bpr_{name}"] = bpr_loss_of_differences(users.repeat_interleave(n_negatives, dim=0), gaps)
        return {**terms, **self.penalty_terms(dict, partial(gather_embeddings, self.nodes, batch, self.sizes[0]))}
