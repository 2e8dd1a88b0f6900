"""NGCF: propagation with weights, and with the product of neighbors' and own embeddings."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from flatrec.data.dataset import Dataset
from flatrec.models.base import SearchSpace
from flatrec.models.layers import xavier_linear
from flatrec.models.neighbor_products import NeighborProductModel
from flatrec.utils.ranges import PositiveInt


class NGCF(NeighborProductModel):
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

    class Config(NeighborProductModel.Config):
        """Settings of NGCF.

        Args:
            hidden_dims: width of each layer's output.
        """

        hidden_dims: tuple[PositiveInt, ...] = (64, 64, 64)

    config: Config
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.hidden_dims": ((64, 64, 64), (128, 128, 128), (256, 256, 256), (512, 512, 512)),
        "model.node_dropout": (0.0, 0.1, 0.2),
        "model.message_dropout": (0.0, 0.1, 0.2, 0.3),
        "model.reg_weight": (1e-5, 1e-4),
        "optimizer.lr": (0.01, 0.005, 0.001, 0.0005, 0.0001),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        steps = list(zip((self.config.embedding_dim, *self.config.hidden_dims), self.config.hidden_dims, strict=False))
        self.sums = nn.ModuleList(xavier_linear(*sizes, zero_bias=True) for sizes in steps)
        self.products = nn.ModuleList(xavier_linear(*sizes, zero_bias=True) for sizes in steps)

    @property
    def depth(self) -> int:
        """The number of hidden widths."""
        return len(self.config.hidden_dims)

    def combined(
        self, layer: int, hidden: Float[Tensor, "n_nodes width"], near: Float[Tensor, "n_nodes width"]
    ) -> Float[Tensor, "n_nodes dim"]:
        """A map of the sum with the neighbors, and a map of the products with them."""
        outcome: Tensor = self.sums[layer](hidden + near) + self.products[layer](near * hidden)
        return outcome
