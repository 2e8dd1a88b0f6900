"""BM3: bootstrapped representations, trained without negatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.models.base import Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables
from flatrec.models.layers import node_table, xavier_linear
from flatrec.models.settings import FeatureConfig, GraphConfig, GraphDropoutConfig, WeightedEdgesConfig
from flatrec.ops.propagation import propagate
from flatrec.utils.ranges import DropoutRate, LayerCount, NonNegativeFloat


class BM3(Model):
    """BM3 (Zhou et al., WWW 2023, https://arxiv.org/abs/2207.05969).

    With M the symmetrically normalized user-item graph, f a linear predictor, and
    apart(x, y) = 1 - mean over the batch of cos(x, y'), where y' is y detached and with dropout:

        G = mean of layers 0..L of M on [E_user ; E_item]
        u = G_users, i = G_items + E_item, v_m = F_m W_m + b_m
        user = f(u), item = f(i)
        loss = apart(f(u), i) + apart(f(i), u)
             + modality_weight * sum over m of [apart(f(v_m), i) + apart(f(v_m), v_m)]
             + reg_weight * (norm of u + norm of i, over all rows) / n_items

    Negatives are not used; free rows are the batch's rows of E_user and, for positives, of E_item. As in the released
    code: the features that are projected are trained, starting from the raw ones; the item embedding is added once more
    to the mean of layers; the norms are not squared.

    Deviations: any number of modalities. Dropout on targets is drawn for each row of the batch. The release draws it
    for the whole table, so that an item that occurs twice in a batch is there the same target both times.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = BM3(data, BM3.Config(embedding_dim=8))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, GraphConfig, FeatureConfig):
        """Settings of BM3.

        Args:
            dropout: fraction of a target's entries set to zero.
            reg_weight: weight of the norms.
            modality_weight: weight of the modality losses.
            features: whether the feature tables are trained or frozen.
        """

        n_layers: LayerCount = 1
        dropout: DropoutRate = 0.3
        reg_weight: NonNegativeFloat = 0.1
        modality_weight: NonNegativeFloat = 2.0
        features: Literal["trained", "frozen"] = "trained"

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.n_layers": (1, 2),
        "model.dropout": (0.3, 0.5),
        "model.reg_weight": (0.1, 0.01),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        embedding_dim = self.config.embedding_dim
        self.loss_weights = {"modalities": self.config.modality_weight, "norms": self.config.reg_weight}
        self.nodes = node_table(dataset, embedding_dim)
        self.features = FeatureTables(
            dataset, missing_modality=self.config.missing_modality, trained=self.config.features == "trained"
        )
        self.projections = nn.ModuleList(xavier_linear(width, embedding_dim) for width in self.features.widths)
        self.predictor = xavier_linear(embedding_dim, embedding_dim)
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges."""
        self.graph.draw(generator)

    def encode(self) -> Encoded:
        """The predicted embeddings; ``aux`` has those that they are predicted from, and the projected features."""
        users, items = propagate(
            self.graph.current(),
            self.nodes,
            self.config.n_layers,
            reduce="mean",
            dropout=self.config.message_dropout,
            training=self.training,
        ).split(self.sizes)
        online = torch.cat([users, items + self.nodes[self.sizes[0] :]])
        projected = {
            f"features_{name}": project(table)
            for name, project, table in zip(self.features.names, self.projections, self.features(), strict=True)
        }
        return Encoded(self.predictor(online), {"online": online, **projected})

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The agreement over the graph, the agreement across and within modalities, and the norms."""
        online = encoded.aux["online"]
        indices = torch.cat([batch.users, batch.positives + self.sizes[0]])
        users, items = F.embedding(indices, encoded.node_embeddings).chunk(2)
        user_targets, item_targets = self._targets(online, indices).chunk(2)
        terms = {"graph/users": _apart(users, item_targets), "graph/items": _apart(items, user_targets)}
        for name in self.features.names:
            table = encoded.aux[f"features_{name}"]
            predicted = self.predictor(F.embedding(batch.positives, table))
            terms[f"modalities/across_{name}"] = _apart(predicted, item_targets)
            terms[f"modalities/within_{name}"] = _apart(predicted, self._targets(table, batch.positives))
        return {**terms, **self.penalty_terms(lambda: self._norms(online), lambda: self._free_rows(batch))}

    def _norms(self, online: Tensor) -> Mapping[str, Tensor]:
        halves = online.split(self.sizes)
        return {"norms": torch.stack([torch.linalg.vector_norm(half) for half in halves]).sum() / self.sizes[1]}

    def _free_rows(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Without rows of negatives, which the loss does not read."""
        indices = torch.cat([batch.users, batch.positives + self.sizes[0]])
        users, positives = F.embedding(indices, self.nodes).chunk(2)
        return users, positives, positives[:, :0]

    def _targets(self, table: Tensor, indices: Tensor) -> Tensor:
        return F.dropout(F.embedding(indices, table.detach()), self.config.dropout, self.training)


def _apart(predicted: Tensor, targets: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(predicted, targets, dim=1).mean()
