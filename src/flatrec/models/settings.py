"""Settings that models share; those of a model are derived from them, often with defaults of its own."""

from __future__ import annotations

from flatrec.models.base import ModelConfig
from flatrec.models.features import MissingModality
from flatrec.utils.ranges import DropoutRate, LayerCount, PositiveInt


class EmbeddingConfig(ModelConfig):
    """Settings of a model with embeddings.

    Args:
        embedding_dim: width of the embeddings.
    """

    embedding_dim: PositiveInt = 64


class GraphConfig(EmbeddingConfig):
    """Settings of a model that propagates over the user-item graph.

    Args:
        n_layers: number of propagation steps over the user-item graph (L).
    """

    n_layers: LayerCount = 2


class WeightedEdgesConfig(ModelConfig):
    """Setting of a model whose user-item graph may take the weights of the interactions.

    Args:
        weighted_edges: whether an edge of the user-item graph counts by the weight of its interaction, in the entries
            and in the degrees that normalize them; needs data with weights.
    """

    weighted_edges: bool = False


class GraphDropoutConfig(ModelConfig):
    """Settings of a model that drops edges and messages of the user-item graph in training.

    Args:
        edge_dropout: fraction of the training interactions left out of each epoch's user-item graph.
        message_dropout: fraction of the entries of each layer's output over the user-item graph set to zero in
            training.
    """

    edge_dropout: DropoutRate = 0.0
    message_dropout: DropoutRate = 0.0


class FeatureConfig(EmbeddingConfig):
    """Settings of a model that reads item features.

    Args:
        missing_modality: what an item without a modality gets: the mean of the items that have it, zeros, or a learned
            vector.
    """

    missing_modality: MissingModality = "mean"


class ItemGraphConfig(GraphConfig, FeatureConfig):
    """Settings of a model that propagates over a graph of similar items as well.

    Args:
        n_item_layers: number of propagation steps over the item graph (L_ii).
        n_neighbors: number of neighbors per item in each kNN graph, the item itself included; at most the number of
            items.
    """

    n_item_layers: LayerCount = 1
    n_neighbors: PositiveInt = 10
