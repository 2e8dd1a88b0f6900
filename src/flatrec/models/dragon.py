"""DRAGON: a user-item graph, a user graph and an item graph; modalities are propagated separately and joined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch

from flatrec.data.dataset import Dataset
from flatrec.graphs.knn import fused_knn_graph
from flatrec.models.base import Encoded
from flatrec.models.features import filled_features
from flatrec.models.preferences import PreferenceModel
from flatrec.models.settings import ItemGraphConfig
from flatrec.ops.columns import Columns, whole_rows
from flatrec.ops.propagation import propagate
from flatrec.utils.ranges import Fraction


class DRAGON(PreferenceModel):
    """DRAGON (Zhou et al., ECAI 2023, https://arxiv.org/abs/2301.12097).

    With M the symmetrically normalized user-item graph, S the frozen item graph of FREEDOM, and unit() bringing rows to
    length 1; for every modality m, P_m holds one preference vector per user and F_m the features:

        x_m = unit([P_m ; lrelu(F_m W1 + b1) W2 + b2])
        X_m = x_m + M x_m + ... + M^L x_m
        c_i = [X_1[i], X_2[i], ...]
        items = c + S^(L_ii) c
        c_u = [w_u[1] X_1[u], w_u[2] X_2[u], ...], w_u free weights
        user u = c_u + sum over neighbors v of a_uv c_v
        loss = -mean log2 sigma(margin) + reg_weight * (squares of P and w)

    Neighbors of a user are those with the most common items, a is a softmax over the counts of common items, to
    which ``weighted_edges`` adds no weights. The squares are the mean of P_m^2 over the batch's users, added up over m,
    and the mean of w^2 over all users. A representation is ``embedding_dim`` times as wide as there are modalities.

    As in the released code: logarithms to base 2; w starts as a softmax and is trained without constraint; a user with
    fewer than ``n_user_neighbors`` neighbors has random ones repeated, drawn again each epoch, each from the list as it
    has grown by then.

    Deviations: the release ranks by what the last training forward left behind, and moves the batch's item indices in
    place: here every evaluation propagates again, over the user graph without repetitions. Layers and tables that
    influence nothing (trained copies of the features among them) are left out. Its item graph is stored on disk by k
    alone; here the key is the content. Degrees have an offset of 1e-7, below what float32 shows. Modalities may be
    any number; ``image_weight`` is the weight of the one called ``image``, as in FREEDOM.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = DRAGON(data, DRAGON.Config(embedding_dim=8, hidden_dim=16, n_neighbors=3))
        >>> model.encode().node_embeddings.shape[1]
        16

    Raises:
        ValueError: the data set has no features, or fewer items than ``n_neighbors``.
    """

    class Config(PreferenceModel.Config, ItemGraphConfig):
        """Settings of DRAGON.

        Args:
            embedding_dim: width of a modality's part of a representation.
            image_weight: weight of the image graph among the kNN graphs.
        """

        image_weight: Fraction = 0.1

    config: Config
    COLUMNS: ClassVar[Mapping[str, Columns]] = {
        "*_weights": Columns(0),
        "towers.*.preference": Columns(1),
        "towers.*": Columns(0),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.item_graph = fused_knn_graph(
            filled_features(dataset, self.config.missing_modality), self.config.n_neighbors, self.config.image_weight
        )

    def encode(self) -> Encoded:
        """Each modality propagated over the user-item graph, then each side of it over its own graph; side by side.

        Narrow products one after the other are faster than a wide one, whose rows leave the cache sooner.
        """
        parts = []
        weights = whole_rows(self.user_weights).split(1, dim=1)
        for tower, table, weight in zip(self.towers, self.features(), weights, strict=True):
            users, items = propagate(
                self.graph.current(),
                tower(table),
                self.config.n_layers,
                reduce="sum",
                dropout=self.config.message_dropout,
                training=self.training,
            ).split(self.sizes)
            own = users * weight
            alike = propagate(self.item_graph, items, self.config.n_item_layers, reduce="last")
            parts.append(torch.cat([own + self.user_graph(own), items + alike]))
        return Encoded(torch.cat(parts, dim=1))
