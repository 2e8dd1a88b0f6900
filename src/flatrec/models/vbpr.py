"""VBPR: matrix factorization that sees item features."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.losses.penalties import norm_penalty
from flatrec.models.base import Cold, Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables
from flatrec.models.layers import xavier_linear, xavier_uniform
from flatrec.models.losses import gather_embeddings
from flatrec.models.settings import FeatureConfig
from flatrec.ops.columns import Columns
from flatrec.ops.matmul import linear
from flatrec.utils.ranges import NonNegativeFloat


class VBPR(Model):
    """VBPR (He & McAuley, AAAI 2016, https://arxiv.org/abs/1510.01784).

    With F the features of all modalities side by side:

        user u = [g_u, t_u]
        item i = [g_i, F_i W + b]
        loss = BPR + reg_weight * norms of the batch's rows

    Free rows are the batch's g_u and t_u, and g_i.

    Deviations: as in the public library whose numbers the field compares with, all modalities where the paper has
    images alone; no item bias and no global image bias, but a bias of the projection; norms that are not squared,
    taken of projected features as well. The 1e-10 that it adds inside the logarithm is left out; see
    :class:`flatrec.losses.bpr.BPRLoss`. Features are concatenated by name, which changes nothing but the order of W.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = VBPR(data, VBPR.Config(embedding_dim=8))
        >>> model.encode().node_embeddings.shape[1]
        16

    Raises:
        ValueError: the data set has no features.
    """

    class Config(FeatureConfig):
        """Settings of VBPR.

        Args:
            embedding_dim: width of each of the two halves of a representation.
            reg_weight: weight of the norms.
        """

        reg_weight: NonNegativeFloat = 1e-3

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    COLD: ClassVar[Cold] = "features"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    LINEAR: ClassVar[Collection[str]] = ("users", "items", "projection.*")
    COLUMNS: ClassVar[Mapping[str, Columns]] = {
        "users": Columns(1, blocks=2),
        "items": Columns(1),
        "projection.*": Columns(0),
    }
    SEARCH_SPACE: ClassVar[SearchSpace] = {"model.reg_weight": (2.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)}

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.loss_weights = {"norms": self.config.reg_weight}
        self.features = FeatureTables(dataset, missing_modality=self.config.missing_modality)
        self.users = xavier_uniform(dataset.n_users, 2 * self.config.embedding_dim)
        self.items = xavier_uniform(dataset.n_items, self.config.embedding_dim)
        self.projection = xavier_linear(sum(self.features.widths), self.config.embedding_dim, zero_bias=True)

    def encode(self) -> Encoded:
        """Users as they are; items beside their projected features."""
        weights = self.projection.weight.split(self.features.widths, dim=1)  # no wide table of all features is made
        seen: Tensor = self.projection.bias
        for table, weight in zip(self.features(), weights, strict=True):
            seen = seen + linear(table, weight)
        return Encoded(torch.cat([self.users, torch.cat([self.items, seen], dim=1)]))

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR, and the norms of the batch's rows."""
        blocks = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        users, positives, negatives = blocks
        width = self.items.shape[1]
        penalties = self.penalty_terms(
            lambda: {"norms": norm_penalty(*blocks)},
            lambda: (users, positives[..., :width], negatives[..., :width]),
        )
        return {"ranking": self.ranking(*blocks, batch), **penalties}
