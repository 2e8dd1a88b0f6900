"""DualGNN: users learn from their neighbors which modality counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.cooccurrence import UserGraph
from flatrec.graphs.interaction import training_graph
from flatrec.models.base import Cold, Encoded, Modalities, Model, ModelConfig, SearchSpace
from flatrec.models.features import FeatureTables, MissingModality
from flatrec.models.losses import bpr_loss, gather_embeddings
from flatrec.models.towers import Tower, preference_squares, preference_weights
from flatrec.ops.propagation import propagate
from flatrec.utils.ranges import LayerCount, NonNegativeFloat, PositiveInt


class DualGNN(Model):
    """DualGNN (Wang et al., IEEE TMM 2021, https://doi.org/10.1109/TMM.2021.3138298).

    With M the symmetrically normalized user-item graph and unit() bringing rows to length 1; for every modality m, P_m
    a preference a user and F_m the features:

        x_m = unit([P_m ; lrelu(F_m W1 + b1) W2 + b2])
        X_m = x_m + M x_m + ... + M^L x_m
        item i = sum over m of X_m[i]
        c_u = sum over m of w_u[m] X_m[u], w_u free weights
        user u = c_u + sum over neighbors v of a_uv c_v
        loss = -mean log2 sigma(margin) + reg_weight * (squares of P, w and w')

    Neighbors of a user are those with the most common items, a is a softmax over the numbers of common items. The
    squares are the mean of P_m^2 over the batch's users, added up over m, the mean of w^2 over all users and that of
    w'^2 over all items, where w' are weights an item that occur nowhere else.

    As in the released code: logarithms to base 2; w starts as a softmax and is trained without constraint; a user with
    fewer than ``n_user_neighbors`` neighbors has random ones repeated, drawn again each epoch, each from the list as it
    has grown by then.

    Deviations: the release fuses users in place, so that the first modality's X is overwritten by the sum of all
    before it is weighted: ``fusion="released"`` does that, ``"intended"`` is the paper's. It ranks by what the last
    training forward left behind, and moves the batch's item numbers in place: here every evaluation propagates again,
    over the user graph without repetitions. Layers that influence nothing are left out. Degrees have an offset of 1e-7,
    below what float32 shows.

    Args:
        dataset: gives training pairs and features.
        config: the settings; the defaults if left out.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = DualGNN(data, DualGNN.Config(embedding_dim=8, hidden_dim=16))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features.
    """

    class Config(ModelConfig):
        """Settings of DualGNN.

        Args:
            embedding_dim: width of a representation.
            hidden_dim: width between the two maps of a modality.
            n_layers: propagations over the user-item graph, at least 0 (L).
            n_user_neighbors: neighbors a user, at least 1.
            reg_weight: weight of the squares, at least 0.
            fusion: whether users are fused as the paper has it (``intended``) or in place (``released``).
            missing_modality: what an item without a modality gets: the mean of the items that have it, zeros, or a
                learned vector.
        """

        embedding_dim: PositiveInt = 64
        hidden_dim: PositiveInt = 256
        n_layers: LayerCount = 2
        n_user_neighbors: PositiveInt = 40
        reg_weight: NonNegativeFloat = 1e-3
        fusion: Literal["intended", "released"] = "intended"
        missing_modality: MissingModality = "mean"

    config: Config

    MODALITIES: ClassVar[Modalities] = "one or more"
    COLD: ClassVar[Cold] = "features"
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
        self.item_weights = preference_weights(dataset.n_items, len(self.features))
        self.graph = training_graph(dataset.interactions)
        self.user_graph = UserGraph(dataset.interactions, self.config.n_user_neighbors)

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw which neighbors are repeated."""
        self.user_graph.draw(generator)

    def encode(self) -> Encoded:
        """All modalities propagated at once, side by side; then users over the user graph."""
        inputs = [tower(table) for tower, table in zip(self.towers, self.features(), strict=True)]
        nodes = propagate(self.graph, torch.cat(inputs, dim=1), self.config.n_layers, reduce="sum")
        users, items = nodes.unflatten(1, (len(inputs), self.config.embedding_dim)).split(self.sizes)
        if self.config.fusion == "released":
            users = torch.cat([users.sum(dim=1, keepdim=True), users[:, 1:]], dim=1)
        own = (self.user_weights[:, :, None] * users).sum(dim=1)
        return Encoded(torch.cat([own + self.user_graph(own), items.sum(dim=1)]))

    def loss(self, encoded: Encoded, batch: Batch) -> Tensor:
        """BPR to base 2 and the weighted penalties."""
        ranking, *squares = self.loss_terms(encoded, batch).values()
        return ranking + self.config.reg_weight * torch.stack(squares).sum()

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR, then the squares, unweighted: ``preference_`` a modality, ``user_weights``, ``item_weights``."""
        return {
            "bpr": bpr_loss(*gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])) / math.log(2),
            **preference_squares(self.features.names, self.towers, batch.users),
            "user_weights": self.user_weights.square().mean(),
            "item_weights": self.item_weights.square().mean(),
        }

    def user_item_embeddings(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """The two halves of the node table."""
        users, items = encoded.node_embeddings.split(self.sizes)
        return users, items
