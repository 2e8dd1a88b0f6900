"""Towers of user preferences and item features, which several models have, and the base of DualGNN and DRAGON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.cooccurrence import UserGraph
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.models.base import Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables
from flatrec.models.layers import xavier_normal
from flatrec.models.losses import beside_preferences, gather_embeddings
from flatrec.models.settings import FeatureConfig, GraphConfig, GraphDropoutConfig, WeightedEdgesConfig
from flatrec.ops.columns import column_mean, whole_rows
from flatrec.ops.matmul import Linear, linear
from flatrec.ops.normalize import unit_rows
from flatrec.utils.ranges import NonNegativeFloat, PositiveInt


class PreferenceModel(Model):
    """A model with one tower per modality, free weights of the modalities for each user, and a user graph.

    ``weighted_edges`` and dropout on edges and messages are about the user-item graph; the user graph counts common
    items without weights.

    Free rows are the batch's users' preferences of every modality and their weights; items have none. Preferences are
    brought to length 1 before they are used, so that a penalty on them acts on the size of their steps alone.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, GraphConfig, FeatureConfig):
        """Settings of such a model.

        Args:
            hidden_dim: width between the two maps of a modality.
            n_user_neighbors: number of neighbors per user.
            reg_weight: weight of the squares.
        """

        hidden_dim: PositiveInt = 256
        n_user_neighbors: PositiveInt = 40
        reg_weight: NonNegativeFloat = 1e-3

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.reg_weight": (0.1, 0.01, 1e-3, 1e-4, 1e-5),
        "optimizer.lr": (0.1, 0.01, 1e-3, 1e-4, 1e-5),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.loss_weights = {"squares": self.config.reg_weight}
        self.features = FeatureTables(dataset, missing_modality=self.config.missing_modality)
        self.towers = nn.ModuleList(
            Tower(dataset.n_users, width, hidden_dim=self.config.hidden_dim, embedding_dim=self.config.embedding_dim)
            for width in self.features.widths
        )
        self.user_weights = preference_weights(dataset.n_users, len(self.features))
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )
        self.user_graph = UserGraph(dataset.interactions, self.config.n_user_neighbors)

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw which neighbors are repeated, then the epoch's user-item graph."""
        self.user_graph.draw(generator)
        self.graph.draw(generator)

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR to base 2, and the squares of each modality's preferences and of all weights per user or item."""
        ranking = self.ranking(*gather_embeddings(encoded.node_embeddings, batch, self.sizes[0]), batch) / math.log(2)
        return {"ranking": ranking, **self.penalty_terms(lambda: self._squares(batch), lambda: self._free_rows(batch))}

    def _squares(self, batch: Batch) -> Mapping[str, Tensor]:
        terms = preference_squares(self.features.names, self.towers, batch)
        # The weights per user, and in DualGNN those per item: the only parameters outside of modules.
        return terms | {
            f"squares/{name}": column_mean(table.square()) for name, table in self.named_parameters(recurse=False)
        }

    def _free_rows(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        preferences = [cast(Tower, tower).preference for tower in self.towers]
        weights = F.embedding(batch.users, self.user_weights)
        no_rows = weights.new_empty(len(batch), 0)
        return beside_preferences((weights, no_rows, no_rows), batch, preferences)


class Tower(nn.Module):
    """Users by preference, items by features, in one space: rows of [P ; lrelu(F W1 + b1) W2 + b2] at length 1."""

    def __init__(self, n_users: int, width: int, *, hidden_dim: int, embedding_dim: int) -> None:
        super().__init__()
        self.preference = xavier_normal(n_users, embedding_dim)
        self.wide = Linear(width, hidden_dim)
        self.narrow = Linear(hidden_dim, embedding_dim)

    def forward(self, features: Float[Tensor, "n_items width"]) -> Float[Tensor, "n_nodes dim"]:
        """Users first, then items; every row of length 1."""
        return unit_rows(torch.cat([self.preference, self.of_items(features)]))

    def of_items(self, features: Float[Tensor, "n_items width"]) -> Float[Tensor, "n_items dim"]:
        """Items alone, of any length."""
        hidden = F.leaky_relu(linear(features, whole_rows(self.wide.weight), whole_rows(self.wide.bias)))
        return cast(Tensor, self.narrow(hidden))


def preference_squares(names: Iterable[str], towers: Iterable[nn.Module], batch: Batch) -> dict[str, Tensor]:
    """The mean square of the preferences of the batch's users in each modality, as ``squares/preference_`` with it."""
    return {
        f"squares/preference_{name}": column_mean(F.embedding(batch.users, cast(Tower, tower).preference).square())
        for name, tower in zip(names, towers, strict=True)
    }


def preference_weights(rows: int, modalities: int) -> nn.Parameter:
    """How much each modality counts for each row: at first a softmax of Xavier-normal values, then free."""
    spread = (2 / (rows + modalities)) ** 0.5
    return nn.Parameter((spread * torch.randn(rows, modalities)).softmax(dim=1))
