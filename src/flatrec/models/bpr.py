"""Matrix factorization with the BPR loss: the model without a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.losses.penalties import norm_penalty
from flatrec.models.base import Encoded, Model, Replaceable, SearchSpace
from flatrec.models.layers import node_table
from flatrec.models.losses import gather_embeddings
from flatrec.models.settings import EmbeddingConfig
from flatrec.ops.columns import Columns
from flatrec.utils.ranges import NonNegativeFloat


class BPR(Model):
    """BPR matrix factorization (Rendle et al., UAI 2009, https://arxiv.org/abs/1205.2618).

    Matrix factorization:

        score(u, i) = <e_u, e_i>
        loss = mean of -ln sigma(score(u, p) - score(u, n)) + reg_weight * norms

    norms are the Frobenius norms of the three row blocks of the batch, added up and divided by its size. These are the
    free rows.

    Deviations: the paper penalizes squared norms with a weight for users, positives and negatives each; the form here
    is :func:`flatrec.losses.penalties.norm_penalty`, as for LightGCN, so that the two differ by the graph alone.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = BPR(data, BPR.Config(embedding_dim=8))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0
    """

    class Config(EmbeddingConfig):
        """Settings of BPR.

        Args:
            reg_weight: weight of the embedding norms.
        """

        reg_weight: NonNegativeFloat = 1e-4

    config: Config
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    COLUMNS: ClassVar[Mapping[str, Columns]] = {"nodes": Columns(1)}
    SEARCH_SPACE: ClassVar[SearchSpace] = {"model.reg_weight": (2.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)}

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.loss_weights = {"norms": self.config.reg_weight}
        self.nodes = node_table(dataset, self.config.embedding_dim)

    def encode(self) -> Encoded:
        """The table itself."""
        return Encoded(self.nodes)

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR and the norms of the batch's rows."""
        blocks = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        penalties = self.penalty_terms(lambda: {"norms": norm_penalty(*blocks)}, lambda: blocks)
        return {"ranking": self.ranking(*blocks, batch), **penalties}
