"""NGCF: propagation with weights, and with the product of neighbors' and own embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.losses.penalties import norm_penalty
from flatrec.models.base import Encoded, Model, Replaceable, SearchSpace
from flatrec.models.layers import node_table, xavier_linear
from flatrec.models.losses import gather_embeddings
from flatrec.models.settings import EmbeddingConfig, GraphDropoutConfig, WeightedEdgesConfig
from flatrec.ops.normalize import l2_normalize
from flatrec.ops.sddmm import Edges
from flatrec.utils.ranges import DropoutRate, NonNegativeFloat, PositiveInt

SLOPE = 0.2  # of the leaky ReLU


class NGCF(Model):
    """NGCF (Wang et al., SIGIR 2019, https://arxiv.org/abs/1905.08108).

    With M the symmetrically normalized user-item graph, X the embeddings, * element-wise and unit() bringing rows to
    length 1, for l = 1..L:

        h_0 = X
        s_l = M h_(l-1)
        y_l = (h_(l-1) + s_l) W1_l + b1_l + (s_l * h_(l-1)) W2_l + b2_l
        h_l = unit(dropout(lrelu(y_l))), of slope 0.2
        H = [h_0, h_1, ..., h_L]
        loss = BPR(H) + reg_weight * norms of the batch's rows of H

    Free rows are the batch's rows of X alone.

    Deviations: follows the public library whose numbers the field compares with where that differs from the paper:
    both maps have a bias; the next layer continues from the normalized rows (the authors' release normalizes only the
    copy that is concatenated, and activates the two maps one by one); BPR is a mean, the norms are not squared. Its
    dropout stays on when it ranks; here it is off in evaluation. The 1e-10 that it adds inside the logarithm is left
    out; see :class:`flatrec.losses.bpr.BPRLoss`.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = NGCF(data, NGCF.Config(embedding_dim=8, hidden_dims=(8, 4)))
        >>> model.encode().node_embeddings.shape[1]
        20
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, EmbeddingConfig):
        """Settings of NGCF.

        Args:
            hidden_dims: width of each layer's output.
            message_dropout: fraction of a layer's outputs set to zero in training.
            node_dropout: fraction of the graph's entries left out at every step of training.
            reg_weight: weight of the norms.
        """

        hidden_dims: tuple[PositiveInt, ...] = (64, 64, 64)
        message_dropout: DropoutRate = 0.1
        node_dropout: DropoutRate = 0.0
        reg_weight: NonNegativeFloat = 1e-5

    config: Config
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.hidden_dims": ((64, 64, 64), (128, 128, 128), (256, 256, 256), (512, 512, 512)),
        "model.node_dropout": (0.0, 0.1, 0.2),
        "model.message_dropout": (0.0, 0.1, 0.2, 0.3),
        "model.reg_weight": (1e-5, 1e-4),
        "optimizer.lr": (0.01, 0.005, 0.001, 0.0005, 0.0001),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.loss_weights = {"norms": self.config.reg_weight}
        self.nodes = node_table(dataset, self.config.embedding_dim, nn.init.xavier_normal_)
        steps = list(zip((self.config.embedding_dim, *self.config.hidden_dims), self.config.hidden_dims, strict=False))
        self.sums = nn.ModuleList(xavier_linear(*sizes, zero_bias=True) for sizes in steps)
        self.products = nn.ModuleList(xavier_linear(*sizes, zero_bias=True) for sizes in steps)
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )
        self.edges = self._edges() if self.config.node_dropout > 0 else None

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges; entries of it are then left out at every step."""
        self.graph.draw(generator)
        if self.edges is not None and self.config.edge_dropout > 0:
            self.edges = self._edges().to(self.nodes.device)

    def encode(self) -> Encoded:
        """All layers, side by side."""
        hidden: Tensor = self.nodes
        layers = [hidden]
        kept = self._kept()
        for add, multiply in zip(self.sums, self.products, strict=True):
            near = (
                self.graph.current()(hidden) if self.edges is None or kept is None else self.edges.product(kept, hidden)
            )
            outcome = F.leaky_relu(add(hidden + near) + multiply(near * hidden), SLOPE)
            hidden = l2_normalize(F.dropout(outcome, self.config.message_dropout, self.training))
            layers.append(hidden)
        return Encoded(torch.cat(layers, dim=1))

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR, and the norms of the batch's final rows."""
        blocks = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        users, positives, negatives = (block[..., : self.config.embedding_dim] for block in blocks)  # layer 0 is X
        penalties = self.penalty_terms(lambda: {"norms": norm_penalty(*blocks)}, lambda: (users, positives, negatives))
        return {"ranking": self.ranking(*blocks, batch), **penalties}

    def _edges(self) -> Edges:
        entries = self.graph.dropped.coo()
        return Edges(entries.row, entries.col, self.graph.dropped.shape)

    def _kept(self) -> Tensor | None:
        """The graph's entries after dropout, in the order of the edges; None where nothing is dropped."""
        if self.edges is None or not self.training:
            return None
        return F.dropout(self.graph.dropped.matrix.values, self.config.node_dropout)
