"""GRCN: a user-item graph whose edges are weighted by how well features explain them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.graphs.epoch_graph import EpochGraph
from flatrec.graphs.interaction import bidirectional
from flatrec.graphs.training_edges import node_edges
from flatrec.models.base import Cold, Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables
from flatrec.models.layers import xavier_linear, xavier_normal
from flatrec.models.losses import beside_preferences, gather_embeddings, image_square, mean_squares
from flatrec.models.settings import FeatureConfig, GraphDropoutConfig
from flatrec.ops.normalize import l2_normalize
from flatrec.ops.sddmm import Edges
from flatrec.utils.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt


class GRCN(Model):
    """GRCN (Wei et al., ACM MM 2020, https://arxiv.org/abs/2008.05270).

    With unit() bringing rows to length 1; for every modality m, P holds one preference vector per user and F the
    features, and for every edge from s to t of the user-item graph, in both directions:

        x = [unit(P) ; unit(lrelu(F W + b))]
        alpha[s, t] = softmax over the edges into t of <x[t], x[s]>
        X_m[t] = x[t] + sum over s of alpha[s, t] x[s]
        weight[s, t] = relu(max over m of alpha_m[s, t] C[s, m]), C a free table
        z = unit(ids), z1 = weighted sum over neighbors of z, z2 = the same of z1
        H = [z + z1 + z2, X_1, X_2, ...]
        loss = BPR(H) + reg_weight * (ids + preferences + sum over m of the mean of P[u]^2 over the batch)
        ids = mean of ids[u]^2 + (mean of ids[p]^2 + mean of ids[n]^2) / 2 over the batch
        preferences = mean of P^2 over all users, of images alone

    Free rows are the batch's rows of ids, and its users' rows of P of every modality, not C. All of them are brought to
    length 1 before they are used, so that a penalty on them acts on the size of their steps alone.

    As in the released code: the edges that refine preferences do not lead into users, so that this refinement does
    nothing (``n_routings=0``). With ``n_routings`` above 0 preferences are refined as in the paper, unit(P) <-
    unit(unit(P) + sum over the user's items of alpha x), repeated so often. The paper's penalty on confidence is not
    used; of preferences that no batch asks for only those of images (the modality called ``image``) are penalized.
    There is no ``weighted_edges``, as the weights of the edges are learned.

    Deviations: the release ranks by what the last training forward left behind; here every evaluation propagates again.
    BPR is finite for any margin.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = GRCN(data, GRCN.Config(embedding_dim=8, modality_dim=8))
        >>> model.encode().node_embeddings.shape[1]
        24

    Raises:
        ValueError: the data set has no features.
    """

    class Config(GraphDropoutConfig, FeatureConfig):
        """Settings of GRCN.

        Args:
            embedding_dim: width of the ids' part of a representation.
            modality_dim: width of each modality's part.
            n_routings: number of refinement steps of the preferences.
            reg_weight: weight of the squares.
        """

        modality_dim: PositiveInt = 64
        n_routings: NonNegativeInt = 0
        reg_weight: NonNegativeFloat = 1e-3

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    COLD: ClassVar[Cold] = "features"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.reg_weight": (0.1, 0.01, 1e-3, 1e-4, 1e-5),
        "optimizer.lr": (1.0, 0.1, 0.01, 1e-3, 1e-4),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.loss_weights = {"squares": self.config.reg_weight}
        n_nodes, modality_dim = dataset.n_users + dataset.n_items, self.config.modality_dim
        self.nodes = xavier_normal(n_nodes, self.config.embedding_dim)
        self.features = FeatureTables(dataset, missing_modality=self.config.missing_modality)
        self.preferences = nn.ParameterList(xavier_normal(dataset.n_users, modality_dim) for _ in self.features.names)
        self.projections = nn.ModuleList(xavier_linear(width, modality_dim) for width in self.features.widths)
        self.confidence = xavier_normal(n_nodes, len(self.features))
        self.graph = EpochGraph(dataset.interactions, _edges, self.config.edge_dropout, node_edges)

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges."""
        self.graph.draw(generator)

    def encode(self) -> Encoded:
        """Modalities, then ids over the edges that they weight, side by side."""
        edges = self.graph.current()
        views, weights = [], []
        tables = zip(self.preferences, self.projections, self.features(), strict=True)
        for place, (preference, project, table) in enumerate(tables):
            items = l2_normalize(F.leaky_relu(project(table)))
            nodes, attention = self._refined(preference, items)
            views.append(nodes + self._messages(attention, nodes))
            weights.append(attention * self.confidence[:, place].index_select(0, edges.columns))
        weight = torch.stack(weights).max(dim=0).values.relu()
        ids = l2_normalize(self.nodes)
        near = self._messages(weight, ids)
        return Encoded(torch.cat([ids + near + self._messages(weight, near), *views], dim=1))

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR, and the squares of ids, of all preferences for images, and of the batch's preferences."""
        named = dict(zip(self.features.names, self.preferences, strict=True))
        rows = partial(gather_embeddings, self.nodes, batch, self.sizes[0])
        penalties = self.penalty_terms(
            lambda: {
                "squares/ids": mean_squares(*rows()),
                "squares/preferences": image_square(named),
                **{
                    f"squares/preference_{name}": F.embedding(batch.users, one).square().mean()
                    for name, one in named.items()
                },
            },
            lambda: beside_preferences(rows(), batch, self.preferences),
        )
        blocks = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        return {"ranking": self.ranking(*blocks, batch), **penalties}

    def _refined(
        self, preference: Tensor, items: Float[Tensor, "n_items dim"]
    ) -> tuple[Float[Tensor, "n_nodes dim"], Float[Tensor, "n_edges"]]:
        """Users and items of one modality in one table, and the attention along every edge between them."""
        users = l2_normalize(preference)
        for _ in range(self.config.n_routings):
            nodes = torch.cat([users, items])
            heard = self.graph.current().product(self._attention(nodes), nodes)[: self.sizes[0]]
            users = l2_normalize(users + heard)
        nodes = torch.cat([users, items])
        return nodes, self._attention(nodes)

    def _attention(self, nodes: Float[Tensor, "n_nodes dim"]) -> Float[Tensor, "n_edges"]:
        edges = self.graph.current()
        return edges.softmax(edges.sddmm(nodes, nodes))

    def _messages(
        self, values: Float[Tensor, "n_edges"], nodes: Float[Tensor, "n_nodes dim"]
    ) -> Float[Tensor, "n_nodes dim"]:
        return F.dropout(self.graph.current().product(values, nodes), self.config.message_dropout, self.training)


def _edges(interactions: Interactions) -> Edges:
    """The edges of the training interactions, in both directions."""
    sources, targets = bidirectional(interactions, *interactions.indices("train"))
    n_nodes = interactions.n_users + interactions.n_items
    return Edges(targets, sources, (n_nodes, n_nodes))
