"""DRAGON: pairs of graphs, of users and items and of each among themselves, modalities side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.cooccurrence import UserGraph
from flatrec.graphs.interaction import training_graph
from flatrec.graphs.knn import fused_knn_graph
from flatrec.models.base import Encoded, Modalities, Model, ModelConfig, SearchSpace
from flatrec.models.features import FeatureTables, MissingModality, filled_features
from flatrec.models.losses import bpr_loss, gather_embeddings
from flatrec.models.towers import Tower, preference_squares, preference_weights
from flatrec.ops.propagation import propagate
from flatrec.utils.ranges import Fraction, LayerCount, NonNegativeFloat, PositiveInt


class DRAGON(Model):
    """DRAGON (Zhou et al., ECAI 2023, https://arxiv.org/abs/2301.12097).

    With M the symmetrically normalized user-item graph, S the frozen item graph of FREEDOM, and unit() bringing rows to
    length 1; for every modality m, P_m a preference a user and F_m the features:

        x_m = unit([P_m ; lrelu(F_m W1 + b1) W2 + b2])
        X_m = x_m + M x_m + ... + M^L x_m
        c_i = [X_1[i], X_2[i], ...]
        items = c + S^(L_ii) c
        c_u = [w_u[1] X_1[u], w_u[2] X_2[u], ...], w_u free weights
        user u = c_u + sum over neighbors v of a_uv c_v
        loss = -mean log2 sigma(margin) + reg_weight * (squares of P and w)

    Neighbors of a user are those with the most common items, a is a softmax over the numbers of common items. The
    squares are the mean of P_m^2 over the batch's users, added up over m, and the mean of w^2 over all users. A
    representation is ``embedding_dim`` times as wide as there are modalities.

    As in the released code: logarithms to base 2; w starts as a softmax and is trained without constraint; a user with
    fewer than ``n_user_neighbors`` neighbors has random ones repeated, drawn again each epoch, each from the list as it
    has grown by then.

    Deviations: the release ranks by what the last training forward left behind, and moves the batch's item numbers in
    place: here every evaluation propagates again, over the user graph without repetitions. Layers and tables that
    influence nothing (trained copies of the features among them) are left out. Its item graph is kept on disk by k
    alone; here the key is the content. Degrees have an offset of 1e-7, below what float32 shows. Modalities may be
    any number; ``image_weight`` is the share of the one called ``image``, as in FREEDOM.

    Args:
        dataset: gives training pairs and features.
        config: the settings; the defaults if left out.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = DRAGON(data, DRAGON.Config(embedding_dim=8, hidden_dim=16, n_neighbors=3))
        >>> model.encode().node_embeddings.shape[1]
        16

    Raises:
        ValueError: the data set has no features, or fewer items than ``n_neighbors``.
    """

    class Config(ModelConfig):
        """Settings of DRAGON.

        Args:
            embedding_dim: width of a modality's part of a representation.
            hidden_dim: width between the two maps of a modality.
            n_layers: propagations over the user-item graph, at least 0 (L).
            n_item_layers: propagations over the item graph, at least 0 (L_ii).
            n_neighbors: items a row of each kNN graph, the item itself included, in [1, n_items].
            image_weight: share of the image graph, in [0, 1].
            n_user_neighbors: neighbors a user, at least 1.
            reg_weight: weight of the squares, at least 0.
            missing_modality: what an item without a modality gets: the mean of the items that have it, zeros, or a
                learned vector.
        """

        embedding_dim: PositiveInt = 64
        hidden_dim: PositiveInt = 256
        n_layers: LayerCount = 2
        n_item_layers: LayerCount = 1
        n_neighbors: PositiveInt = 10
        image_weight: Fraction = 0.1
        n_user_neighbors: PositiveInt = 40
        reg_weight: NonNegativeFloat = 1e-3
        missing_modality: MissingModality = "mean"

    config: Config

    MODALITIES: ClassVar[Modalities] = "one or more"
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType(
        {"model.reg_weight": (0.1, 0.01, 1e-3, 1e-4, 1e-5), "optimizer.lr": (0.1, 0.01, 1e-3, 1e-4, 1e-5)}
    )

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.features = FeatureTables(dataset, missing_modality=self.config.missing_modality)
        self.towers = nn.ModuleList(
            Tower(dataset.n_users, width, hidden_dim=self.config.hidden_dim, embedding_dim=self.config.embedding_dim)
            for width in self.features.widths
        )
        self.user_weights = preference_weights(dataset.n_users, len(self.features))
        self.graph = training_graph(dataset.interactions)
        self.item_graph = fused_knn_graph(
            filled_features(dataset, self.config.missing_modality), self.config.n_neighbors, self.config.image_weight
        )
        self.user_graph = UserGraph(dataset.interactions, self.config.n_user_neighbors)

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw which neighbors are repeated."""
        self.user_graph.draw(generator)

    def encode(self) -> Encoded:
        """Each modality propagated over the user-item graph, then each side of it over its own graph; side by side.

        Narrow products one after the other are faster than a wide one, whose rows leave the cache sooner.
        """
        parts = []
        weights = self.user_weights.split(1, dim=1)
        for tower, table, weight in zip(self.towers, self.features(), weights, strict=True):
            users, items = propagate(self.graph, tower(table), self.config.n_layers, reduce="sum").split(self.sizes)
            own = users * weight
            alike = propagate(self.item_graph, items, self.config.n_item_layers, reduce="last")
            parts.append(torch.cat([own + self.user_graph(own), items + alike]))
        return Encoded(torch.cat(parts, dim=1))

    def loss(self, encoded: Encoded, batch: Batch) -> Tensor:
        """BPR to base 2 and the weighted penalties."""
        ranking, *squares = self.loss_terms(encoded, batch).values()
        return ranking + self.config.reg_weight * torch.stack(squares).sum()

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR, then the squares, unweighted: ``preference_`` and its name for a modality, ``user_weights``."""
        return {
            "bpr": bpr_loss(*gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])) / math.log(2),
            **preference_squares(self.features.names, self.towers, batch.users),
            "user_weights": self.user_weights.square().mean(),
        }

    def user_item_embeddings(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """The two halves of the node table."""
        users, items = encoded.node_embeddings.split(self.sizes)
        return users, items
