"""LGMRec: local graphs of ids and modalities, and a global hypergraph learned from features."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.graphs.interaction import DEGREE_OFFSET, interaction_matrix
from flatrec.losses.penalties import norm_penalty
from flatrec.models.base import Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables
from flatrec.models.layers import node_table, xavier_uniform
from flatrec.models.losses import gather_embeddings, info_nce_among_all
from flatrec.models.settings import FeatureConfig, GraphConfig, GraphDropoutConfig, WeightedEdgesConfig
from flatrec.ops.matmul import linear, matmul
from flatrec.ops.normalize import l2_normalize
from flatrec.ops.propagation import propagate
from flatrec.utils.ranges import (
    DropoutRate,
    LayerCount,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    PositiveLayerCount,
)


class LGMRec(Model):
    """LGMRec (Guo et al., AAAI 2024, https://arxiv.org/abs/2312.16400).

    With M the symmetrically normalized user-item graph, R the binary matrix of users by items, unit() bringing rows to
    length 1, T the temperature, and Gumbel noise in training; for every modality m:

        C = mean of layers 0..L of M on [E_user ; E_item]
        Y_items = F_m T_m, Y_users = mean of Y over the user's items
        G_m = M^(L_m) [Y_users ; Y_items]
        a_items = F_m V_m, a_users = R a_items
        Q = softmax by row of (a + noise) / T, entries dropped in training
        r = C_items; n_hyper_layers times: hub = Q_items^T r, r = Q_items hub, t = Q_users hub
        H = C + sum over m of unit(G_m) + hyper_weight * unit([sum of t ; sum of r])
        loss = BPR(H) + contrastive_weight * contrast + reg_weight * norms of the batch's rows of H

    Free rows are the batch's rows of E_user and E_item.

    The contrast is, for every two modalities, InfoNCE by cosine of the batch's users' t against all users' plus that of
    its positives' r against all items'. As in the released code: features are frozen; the contrast is a sum over the
    batch, not a mean; one temperature serves softmax and contrast; of two modalities the first by name is the anchor.
    ``weighted_edges`` and dropout on edges and messages are about M alone: R stays binary and whole, and the mean of Y
    takes every item of a user equally.

    Deviations: the release leaves the noise on when it ranks; here it is off in evaluation. Its contrast is written for
    two modalities and fails with one; here it goes over all pairs of modalities, of which there is none with one
    modality.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = LGMRec(data, LGMRec.Config(embedding_dim=8))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, GraphConfig, FeatureConfig):
        """Settings of LGMRec.

        Args:
            n_modality_layers: number of propagation steps of the projected features over the user-item graph (L_m).
            n_hyper_layers: number of passes over the hypergraph.
            n_hyperedges: number of hyperedges per modality (columns of Q).
            dropout: fraction of the dependencies Q set to zero in training; 1 - ``keep_rate`` of the release.
            hyper_weight: weight of the hypergraph in a representation (alpha in the paper).
            temperature: temperature of the softmax over hyperedges and of the contrast.
            contrastive_weight: weight of the contrast.
            reg_weight: weight of the norms.
        """

        n_modality_layers: LayerCount = 2
        n_hyper_layers: PositiveLayerCount = 1
        n_hyperedges: PositiveInt = 4
        dropout: DropoutRate = 0.5
        hyper_weight: NonNegativeFloat = 0.3
        temperature: PositiveFloat = 0.2
        contrastive_weight: NonNegativeFloat = 1e-4
        reg_weight: NonNegativeFloat = 1e-6

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.n_hyper_layers": (1, 2),
        "model.n_hyperedges": (4, 64),
        "model.dropout": (0.5, 0.6, 0.8),
        "model.hyper_weight": (0.2, 0.3, 0.6),
        "model.contrastive_weight": (1e-4,),
        "model.reg_weight": (1e-6,),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        embedding_dim = self.config.embedding_dim
        self.loss_weights = {"contrast": self.config.contrastive_weight, "norms": self.config.reg_weight}
        self.nodes = node_table(dataset, embedding_dim)
        self.features = FeatureTables(dataset, missing_modality=self.config.missing_modality)
        self.projections = nn.ParameterList(xavier_uniform(width, embedding_dim) for width in self.features.widths)
        self.hyperedges = nn.ParameterList(
            xavier_uniform(width, self.config.n_hyperedges) for width in self.features.widths
        )
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )
        self.bought = interaction_matrix(dataset.interactions)
        degrees = torch.from_numpy(dataset.interactions.matrix("train").sum(axis=1))
        self.register_buffer("shares", 1 / (degrees[:, None] + DEGREE_OFFSET), persistent=False)

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges."""
        self.graph.draw(generator)

    def encode(self) -> Encoded:
        """The sum of local and global views; both sides of each modality's hypergraph are parts."""
        ids = propagate(
            self.graph.current(),
            self.nodes,
            self.config.n_layers,
            reduce="mean",
            dropout=self.config.message_dropout,
            training=self.training,
        )
        local, hyper = ids, []
        parts: dict[str, Tensor] = {}
        for name, table, projection, edges in zip(
            self.features.names, self.features(), self.projections, self.hyperedges, strict=True
        ):
            maps = torch.cat([projection.T, edges.T])  # their gradient is a third faster than that of the transpose
            projected, of_items = linear(table, maps).tensor_split([self.config.embedding_dim], dim=1)
            summed, of_users = self.bought(torch.cat([projected, of_items], dim=1)).tensor_split(
                [self.config.embedding_dim], dim=1
            )
            modality = propagate(
                self.graph.current(),
                torch.cat([self.shares * summed, projected]),
                self.config.n_modality_layers,
                reduce="last",
                dropout=self.config.message_dropout,
                training=self.training,
            )
            local = local + l2_normalize(modality)
            of_items, of_users = self._dependencies(of_items), self._dependencies(of_users)
            hub = self._hub(of_items, ids[self.sizes[0] :])
            users, items = matmul(of_users, hub), matmul(of_items, hub)
            parts |= {f"users_{name}": users, f"items_{name}": items, f"hub_{name}": hub}
            parts |= {f"edges_of_users_{name}": of_users, f"edges_of_items_{name}": of_items}
            hyper.append(torch.cat([users, items]))
        joined = l2_normalize(torch.stack(hyper).sum(dim=0).to(ids.dtype))
        return Encoded(local + self.config.hyper_weight * joined, parts)

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR, the contrast of users and that of items, and the norms of the batch's rows."""
        blocks = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        terms = {"ranking": self.ranking(*blocks, batch)}
        penalties = self.penalty_terms(
            lambda: {"norms": norm_penalty(*blocks)},
            partial(gather_embeddings, self.nodes, batch, self.sizes[0]),
        )
        for kind, indices in (("users", batch.users), ("items", batch.positives)):
            counted = _counted(indices)
            contrasts = [
                self._contrast(encoded.aux, kind, counted, one, other)
                for one, other in itertools.combinations(self.features.names, 2)
            ]
            terms[f"contrast/{kind}"] = torch.stack([encoded.node_embeddings.new_zeros(()), *contrasts]).sum()
        return {**terms, **penalties}

    def _contrast(  # noqa: PLR0917 - two views of one kind
        self, parts: Mapping[str, Tensor], kind: str, counted: tuple[Tensor, Tensor | None], one: str, other: str
    ) -> Tensor:
        """The rows of a batch in one modality against all rows in another."""
        indices, counts = counted
        everyone = parts[f"{kind}_{other}"]
        views = F.embedding(indices, parts[f"{kind}_{one}"]), F.embedding(indices, everyone)
        factors = parts[f"edges_of_{kind}_{other}"], parts[f"hub_{other}"]
        return info_nce_among_all(*views, everyone, self.config.temperature, counts=counts, factors=factors)

    def _hub(
        self, of_items: Float[Tensor, "n_items hyperedges"], items: Float[Tensor, "n_items dim"]
    ) -> Float[Tensor, "hyperedges dim"]:
        hub = matmul(of_items.T, items)
        for _ in range(self.config.n_hyper_layers - 1):
            hub = matmul(of_items.T, matmul(of_items, hub))
        return hub

    def _dependencies(self, logits: Float[Tensor, "rows hyperedges"]) -> Float[Tensor, "rows hyperedges"]:
        """How much each row depends on each hyperedge; noisy and with entries dropped in training."""
        noisy = logits + gumbel(logits) if self.training else logits
        return F.dropout((noisy / self.config.temperature).softmax(dim=1), self.config.dropout, self.training)


def _counted(indices: Tensor) -> tuple[Tensor, Tensor | None]:
    """Different indices and how often each comes; popular items come up many times.

    Other devices than the CPU would have to be waited for to know how many there are: there, each counts for itself.
    """
    return indices.unique(return_counts=True) if indices.device.type == "cpu" else (indices, None)


def gumbel(like: Tensor) -> Tensor:
    """Standard Gumbel noise of the same shape, in float32 at least: half precision draws zeros, which have no log."""
    kind = torch.promote_types(like.dtype, torch.float32)
    return -torch.empty_like(like, dtype=kind).exponential_().log()
