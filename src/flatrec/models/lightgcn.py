"""LightGCN: propagation over the user-item graph, nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import ClassVar

from torch import Generator, Tensor

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.losses.penalties import norm_penalty
from flatrec.models.base import Defaults, Encoded, Model, Replaceable, SearchSpace
from flatrec.models.layers import node_table
from flatrec.models.losses import gather_embeddings
from flatrec.models.settings import GraphConfig, GraphDropoutConfig, WeightedEdgesConfig
from flatrec.ops.columns import Columns
from flatrec.ops.propagation import propagate
from flatrec.utils.ranges import LayerCount, NonNegativeFloat


class LightGCN(Model):
    """LightGCN (He et al., SIGIR 2020, https://arxiv.org/abs/2002.02126).

    With M the symmetrically normalized user-item graph without self loops, and X the embeddings:

        H = (X + M X + ... + M^L X) / (L + 1)
        score(u, i) = <h_u, h_i>
        loss = BPR(H) + reg_weight * norms of the batch's rows of X

    This is its eq. 8 with equal layer weights. Free rows are the batch's rows of X.

    Deviations: the paper sums BPR over the batch and penalizes squared norms; the mean and the plain norms here
    are those of the public library whose numbers the field compares with. The 1e-10 that it adds inside the logarithm
    is left out; see :class:`flatrec.losses.bpr.BPRLoss`.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = LightGCN(data, LightGCN.Config(embedding_dim=8))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, GraphConfig):
        """Settings of LightGCN.

        Args:
            n_layers: number of propagation steps over the user-item graph (L; 0 is matrix factorization).
            reg_weight: weight of the embedding norms.
        """

        n_layers: LayerCount = 3
        reg_weight: NonNegativeFloat = 1e-4

    config: Config
    DEFAULTS: ClassVar[Defaults] = {
        "optimizer.lr": 0.01,
        "regularization.kind": "squared",
        "regularization.weight": 0.03,
    }
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    LINEAR: ClassVar[Collection[str]] = ("nodes",)
    COLUMNS: ClassVar[Mapping[str, Columns]] = {"nodes": Columns(1)}
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.n_layers": (1, 2, 3, 4),
        "model.reg_weight": (1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.loss_weights = {"norms": self.config.reg_weight}
        self.nodes = node_table(dataset, self.config.embedding_dim)
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges."""
        self.graph.draw(generator)

    def encode(self) -> Encoded:
        """The propagated table."""
        return Encoded(
            propagate(
                self.graph.current(),
                self.nodes,
                self.config.n_layers,
                reduce="mean",
                dropout=self.config.message_dropout,
                training=self.training,
            )
        )

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR on the propagated rows, and the norms of the rows before propagation."""
        rows = partial(gather_embeddings, self.nodes, batch, self.sizes[0])
        ranking = self.ranking(*gather_embeddings(encoded.node_embeddings, batch, self.sizes[0]), batch)
        return {"ranking": ranking, **self.penalty_terms(lambda: {"norms": norm_penalty(*rows())}, rows)}
