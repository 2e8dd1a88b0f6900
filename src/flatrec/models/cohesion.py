"""COHESION: ids refine every modality first, and what a user likes least in an interaction weighs most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal, cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.cooccurrence import UserGraph
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.graphs.knn import fused_knn_graph
from flatrec.models.base import Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables, filled_features
from flatrec.models.layers import xavier_normal
from flatrec.models.losses import beside_preferences, gather_embeddings
from flatrec.models.preferences import Tower, preference_squares, preference_weights
from flatrec.models.settings import GraphDropoutConfig, ItemGraphConfig, WeightedEdgesConfig
from flatrec.ops.normalize import l2_normalize
from flatrec.ops.propagation import propagate, propagate_by_similarity
from flatrec.utils.ranges import Fraction, NonNegativeFloat, PositiveInt, PositiveLayerCount

SMALLEST = 1e-8  # added under the root, whose gradient is finite then


class COHESION(Model):
    """COHESION (Xu et al., SIGIR 2025, https://arxiv.org/abs/2504.04452).

    With M the symmetrically normalized user-item graph, S the frozen item graph of FREEDOM, Q the user graph of DRAGON,
    E one vector per item and unit() bringing rows to length 1; for every modality m and for the ids, whose features are
    F = E, P holds one preference vector per user:

        f = lrelu(F W1 + b1) W2 + b2
        e = root of (E^2 + f^2) / 2 + 1e-8, by entry
        y_0 = unit([P ; e]), z_l = M y_(l-1), y_l[v] = cos(z_l[v], y_0[v]) z_l[v]
        c = y_0 + ... + y_L
        users = c + Q c
        items = c + S^(L_ii) c
        t_m = <u_m, p_m - n_m> of an interaction, w = 1 - softmax of t over the ids and modalities
        loss = -mean log2 sigma(sum of w_m t_m) + reg_weight * squares of P

    A representation has the columns of the ids, then those of each modality; scores are inner products without w. The
    squares are the mean of P_m^2 over the batch's users, added up over the modalities, not the ids. Free rows are the
    users' preferences of ids and modalities, and the rows of E.

    As in the released code: no gradient flows through w; signs are lost in e; edges are dropped by degree, again every
    epoch, and a user with fewer than ``n_user_neighbors`` neighbors has random ones repeated. ``weighted_edges`` is
    about M alone. Of several negatives w takes the mean, and with negatives from the batch the mean of its items.

    Deviations: the release cuts the ids' part from the gradient, so that their preferences stay as they were drawn;
    ``id_tower="released"`` does that. It penalizes weights per user that occur nowhere else;
    ``user_weights="released"`` has them. It ranks by what the last training forward left behind, over a graph with
    dropped edges; here every evaluation propagates again, over whole graphs. Its item graph is stored on disk without
    ``image_weight``; here the key is the content. Degrees have an offset of 1e-7, below what float32 shows. Modalities
    may be any number.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = COHESION(data, COHESION.Config(embedding_dim=8, hidden_dim=16, n_neighbors=3))
        >>> model.encode().node_embeddings.shape[1]
        24

    Raises:
        ValueError: the data set has no features, or fewer items than ``n_neighbors``.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, ItemGraphConfig):
        """Settings of COHESION.

        Args:
            embedding_dim: width of the part of a representation that ids or a modality have.
            hidden_dim: width between the two maps of a tower.
            n_user_neighbors: number of neighbors per user.
            image_weight: weight of the image graph among the kNN graphs.
            reg_weight: weight of the squares.
            id_tower: whether the tower of the ids is trained, or stays as it was drawn (``released``).
            user_weights: whether there are weights of modalities per user, which are penalized and nothing else.
        """

        n_layers: PositiveLayerCount = 2
        hidden_dim: PositiveInt = 256
        n_user_neighbors: PositiveInt = 40
        image_weight: Fraction = 0.1
        reg_weight: NonNegativeFloat = 1e-3
        id_tower: Literal["trained", "released"] = "trained"
        user_weights: Literal["none", "released"] = "none"

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.n_layers": (1, 2, 3, 4),
        "model.reg_weight": (0.1, 0.01, 1e-3, 1e-4),
        "optimizer.lr": (0.1, 0.01, 1e-3, 1e-4),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        dim, n_users = self.config.embedding_dim, dataset.n_users
        sizes = {"hidden_dim": self.config.hidden_dim, "embedding_dim": dim}
        self.loss_weights = {"squares": self.config.reg_weight}
        self.features = FeatureTables(dataset, missing_modality=self.config.missing_modality)
        self.items = xavier_normal(dataset.n_items, dim)
        self.id_tower = Tower(n_users, dim, **sizes)
        self.towers = nn.ModuleList(Tower(n_users, width, **sizes) for width in self.features.widths)
        released = self.config.user_weights == "released"
        self.user_weights = preference_weights(n_users, len(self.features)) if released else None
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )
        self.user_graph = UserGraph(dataset.interactions, self.config.n_user_neighbors)
        self.item_graph = fused_knn_graph(
            filled_features(dataset, self.config.missing_modality), self.config.n_neighbors, self.config.image_weight
        )

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw which neighbors are repeated, then the epoch's user-item graph."""
        self.user_graph.draw(generator)
        self.graph.draw(generator, "degree")

    def encode(self) -> Encoded:
        """Ids and modalities propagated over the user-item graph, then each side over its own graph; side by side."""
        ids = self._refined(self.id_tower, self.items)
        blocks = [ids.detach() if self.config.id_tower == "released" else ids]
        blocks += [
            self._refined(cast(Tower, tower), table) for tower, table in zip(self.towers, self.features(), strict=True)
        ]
        parts = []
        for block in blocks:
            users, items = block.split(self.sizes)
            alike = propagate(self.item_graph, items, self.config.n_item_layers, reduce="last")
            parts.append(torch.cat([users + self.user_graph(users), items + alike]))
        return Encoded(torch.cat(parts, dim=1))

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The ranking loss to base 2, with the parts of users weighted, and the squares of preferences."""
        users, positives, negatives = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        others = positives.mean(dim=0) if batch.in_batch else negatives.mean(dim=1)
        weighted = users * self._weights((users * (positives - others)).detach())
        ranking = self.ranking(weighted, positives, negatives, batch) / math.log(2)
        return {"ranking": ranking, **self.penalty_terms(lambda: self._squares(batch), lambda: self._free_rows(batch))}

    def _refined(self, tower: Tower, table: Float[Tensor, "n_items width"]) -> Float[Tensor, "n_nodes dim"]:
        """All layers of one tower, whose items are refined by the ids."""
        squares = (self.items.square() + tower.of_items(table).square()) / 2
        nodes = l2_normalize(torch.cat([tower.preference, (squares + SMALLEST).sqrt()]))
        return nodes + propagate_by_similarity(
            self.graph.current(),
            nodes,
            self.config.n_layers,
            dropout=self.config.message_dropout,
            training=self.training,
        )

    def _weights(self, products: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """For each column, one minus the softmax of the margins of the parts."""
        margins = products.unflatten(1, (-1, self.config.embedding_dim)).sum(dim=2)
        weights: Tensor = 1 - margins.softmax(dim=1)
        return weights.repeat_interleave(self.config.embedding_dim, dim=1)

    def _squares(self, batch: Batch) -> Mapping[str, Tensor]:
        terms = preference_squares(self.features.names, self.towers, batch)
        if self.user_weights is not None:
            terms["squares/user_weights"] = self.user_weights.square().mean()
        return terms

    def _free_rows(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        preferences = [cast(Tower, tower).preference for tower in self.towers]
        ids = F.embedding(batch.users, self.id_tower.preference)
        positives, negatives = F.embedding(batch.positives, self.items), F.embedding(batch.negatives, self.items)
        return beside_preferences((ids, positives, negatives), batch, preferences)
