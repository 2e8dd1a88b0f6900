"""FourierKAN-GCF: NGCF whose only weights are Fourier series of the products with the neighbors."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from flatrec.data.dataset import Dataset
from flatrec.models.base import Encoded, SearchSpace
from flatrec.models.neighbor_products import NeighborProductModel
from flatrec.models.settings import GraphConfig
from flatrec.ops.matmul import linear
from flatrec.utils.ranges import NonNegativeFloat, PositiveInt


class FourierKANGCF(NeighborProductModel):
    """FourierKAN-GCF (Xu et al., arXiv 2024, https://arxiv.org/abs/2406.01034).

    With M the symmetrically normalized user-item graph, X the embeddings, * element-wise and unit() bringing rows to
    length 1, for l = 1..L:

        h_0 = X
        s_l = M h_(l-1)
        x = s_l * h_(l-1)
        phi_l(x)[o] = sum over columns i and k = 1..g of A_l[o,i,k] cos(k x[i]) + B_l[o,i,k] sin(k x[i])
        h_l = unit(dropout(lrelu(h_(l-1) + s_l + phi_l(x)))), of slope 0.2
        H = [h_0, h_1, ..., h_L]
        loss = BPR(H) + reg_weight * norms of the batch's rows of H

    Free rows are the batch's rows of X alone. A and B take O((n_users + n_items) * embedding_dim * grid_size) memory a
    layer.

    As in the released code: phi is taken once per node, of the products with the sum over its neighbors, where the
    formula that comes with it takes phi of the product with each neighbor and adds these up; rows are brought to length
    1 before the next layer; the norms are not squared.

    Deviations: the release ranks by the embeddings X, so that nothing that it trains above them counts;
    ``scoring="released"`` does that. It has one layer fewer than it is told; here ``n_layers`` is their number. Its
    message dropout is written so that it would stay on in evaluation; here it is off. The 1e-10 that it adds inside the
    logarithm is left out; see :class:`flatrec.losses.bpr.BPRLoss`.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = FourierKANGCF(data, FourierKANGCF.Config(embedding_dim=8))
        >>> model.encode().node_embeddings.shape[1]
        24
    """

    class Config(NeighborProductModel.Config, GraphConfig):
        """Settings of FourierKAN-GCF.

        Args:
            grid_size: number of frequencies of a Fourier series (g).
            scoring: whether all layers rank (``propagated``) or layer 0 alone (``released``).
        """

        grid_size: PositiveInt = 4
        reg_weight: NonNegativeFloat = 1.0
        scoring: Literal["propagated", "released"] = "propagated"

    config: Config
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.n_layers": (2, 3),
        "model.grid_size": (1, 2, 4, 8),
        "model.node_dropout": (0.0, 0.1, 0.2, 0.3),
        "model.message_dropout": (0.0, 0.1, 0.2, 0.3),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        dim, grid_size = self.config.embedding_dim, self.config.grid_size
        scale = (dim * grid_size) ** -0.5
        self.coefficients = nn.ParameterList(
            nn.Parameter(scale * torch.randn(2, dim, dim, grid_size)) for _ in range(self.config.n_layers)
        )

    @property
    def depth(self) -> int:
        """The number of propagation steps."""
        return self.config.n_layers

    def combined(
        self, layer: int, hidden: Float[Tensor, "n_nodes width"], near: Float[Tensor, "n_nodes width"]
    ) -> Float[Tensor, "n_nodes dim"]:
        """The sum with the neighbors, and the Fourier series of the products with them."""
        of_cosines, of_sines = (one.flatten(1) for one in self.coefficients[layer])
        frequencies = torch.arange(1, self.config.grid_size + 1, dtype=near.dtype, device=near.device)
        angles = ((near * hidden)[:, :, None] * frequencies).flatten(1)
        return hidden + near + linear(angles.cos(), of_cosines) + linear(angles.sin(), of_sines)

    def user_item_embeddings(
        self, encoded: Encoded
    ) -> tuple[Float[Tensor, "n_users dim"], Float[Tensor, "n_items dim"]]:
        """All layers; layer 0 alone where the model ranks as released."""
        nodes = encoded.node_embeddings
        if self.config.scoring == "released" and not self.training:
            nodes = nodes[:, : self.config.embedding_dim]
        users, items = nodes.split(self.sizes)
        return users, items
