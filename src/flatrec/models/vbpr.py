"""VBPR: matrix factorzation that sees item features."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.models.base import Cold, Encoded, Modalities, Model, SearchSpace
from flatrec.models.features import FeatureTables, Missing
from flatrec.models.initial import xavier_linear, xavier_uniform
from flatrec.models.losses import bpr, norm_penalty, rows
from flatrec.models.settings import at_least
from flatrec.ops.matmul import linear


class VBPR(Model):
    """VBPR (He & McAuley, AAAI 2016, https://arxiv.org/abs/1510.01784).

    With F the features of all modalities side by side:

        user u = [g_u, t_u]
        item i = [g_i, F_i W + b]
        loss = BPR + penalty * norms of the batch's rows

    Deviations: as in the public library whose numbers the field compares with, all modalities where the paper has
    images alone; no item bias and no global image bias, but a bias of the projection; norms that are not squared,
    taken of projected features as well. The 1e-10 that it adds inside the logarithm is left out; see
    :func:`flatrec.models.losses.bpr`. Features are concatenated by name, which changes nothing but the order of W.

    Args:
        dataset: gives the features.
        dim: width of each of the two halves of a representation.
        penalty: weight of the norms, at least 0.
        missing: what an item without a modality gets: the mean of the items that have it, zeros, or a learned vector.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = VBPR(data, dim=8)
        >>> model.encode().nodes.shape[1]
        16

    Raises:
        ValueError: the data set has no features, or a setting is out of range.
    """

    MODALITIES: ClassVar[Modalities] = "one or more"
    COLD: ClassVar[Cold] = "features"
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType({"model.penalty": (2.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)})

    def __init__(self, dataset: Dataset, *, dim: int = 64, penalty: float = 1e-3, missing: Missing = "mean") -> None:
        super().__init__()
        at_least(1, dim=dim)
        at_least(0, penalty=penalty)
        self.sizes = (dataset.n_users, dataset.n_items)
        self.penalty = penalty
        self.features = FeatureTables(dataset, missing=missing)
        self.users = xavier_uniform(dataset.n_users, 2 * dim)
        self.items = xavier_uniform(dataset.n_items, dim)
        self.projection = xavier_linear(sum(self.features.widths), dim, zero_bias=True)

    def encode(self) -> Encoded:
        """Users as they are; items beside their projected features."""
        weights = self.projection.weight.split(self.features.widths, dim=1)  # no wide table of all features is made
        seen: Tensor = self.projection.bias
        for table, weight in zip(self.features(), weights, strict=True):
            seen = seen + linear(table, weight)
        return Encoded(torch.cat([self.users, torch.cat([self.items, seen], dim=1)]))

    def loss(self, encoded: Encoded, batch: Batch) -> Tensor:
        """BPR and the weighted penalty."""
        terms = self.terms(encoded, batch)
        return terms["bpr"] + self.penalty * terms["norms"]

    def terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """BPR and norms of the batch's rows, unweighted."""
        blocks = rows(encoded.nodes, batch, self.sizes[0])
        return {"bpr": bpr(*blocks), "norms": norm_penalty(*blocks)}

    def representations(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """The two halves of the node table."""
        users, items = encoded.nodes.split(self.sizes)
        return users, items
