"""MGCN: item features purified by ids, spread over separate graphs, and fused by how users behave."""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from flatrec.data.dataset import Dataset
from flatrec.graphs.cosine import cosine_graph
from flatrec.models.base import Encoded, SearchSpace
from flatrec.models.features import filled_features
from flatrec.models.gated_views import GatedViewModel
from flatrec.models.settings import ItemGraphConfig
from flatrec.ops.matmul import Linear
from flatrec.ops.spmm import Graph


class MGCN(GatedViewModel):
    """MGCN (Yu et al., ACM MM 2023, https://arxiv.org/abs/2308.03588).

    With M the symmetrically normalized user-item graph, s the logistic function, * element-wise, and K_m the frozen
    graph of the nearest items by the raw features of modality m, whose entries are the cosines, normalized by row sums:

        C = mean of layers 0..L of M on [E_user ; E_item]
        Z_m = E_item * s((F_m W_m + b_m) W1_m + b1_m)
        Y_m = K_m^(L_ii) Z_m
        X_m = [0 ; Y_m] + M [0 ; Y_m]
        q(x) = tanh(x W2 + b2) w
        a = softmax over the modalities of q(X_m), for each node
        A = sum of a_m X_m
        P_m = s(C W3_m + b3_m)
        S = (A + sum of P_m * (X_m - A)) / (number of modalities + 1)
        H = C + S
        loss = BPR(H) + contrastive_weight * contrast + reg_weight * half the squares of the batch's rows of H

    The contrast is InfoNCE by cosine within the batch, of S against C, for its users and for its positives.

    As in the released code: the part A that modalities have in common is divided too; the contrast and BPR are means
    over the batch; features are trained, starting from the raw ones, and graphs are not built again. The learning rate,
    which the release lets fall by 4 % every 50 epochs, is left to the optimizer's settings.

    Deviations: the release divides the squares by the configured batch size, so that a smaller last batch counts less;
    here they are a mean over the batch, and ``reg_rows`` gives the release's. Its temperature is a literal beside an
    unused setting; here it is a setting. It keeps its item graphs on disk by k alone, so that other features get an old
    graph, and gives NaN where a row sum is negative; here the key is the content, and such a row is empty. It needs two
    modalities; here there may be any number. With one, A is that modality, and P and q have no influence.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = MGCN(data, MGCN.Config(embedding_dim=8, n_neighbors=3))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features, or fewer items than ``n_neighbors``.
    """

    class Config(GatedViewModel.Config, ItemGraphConfig):
        """Settings of MGCN."""

    config: Config
    SEARCH_SPACE: ClassVar[SearchSpace] = {"model.contrastive_weight": (1e-3, 1e-2, 1e-1)}

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        dim = self.config.embedding_dim
        self.query = nn.Sequential(Linear(dim, dim), nn.Tanh(), Linear(dim, 1, bias=False))
        raw = filled_features(dataset, self.config.missing_modality)
        self.item_graphs = nn.ModuleList(
            cosine_graph(raw[name], self.config.n_neighbors) for name in self.features.names
        )

    def encode(self) -> Encoded:
        """The sum of the content part and the side part."""
        content = self.content()
        parts = zip(self.purifiers, self.projections, self.features(), self.item_graphs, strict=True)
        views = [self.view(purify, project(table), cast(Graph, graph)) for purify, project, table, graph in parts]
        side = self._fused(content, views)
        return Encoded(content + side, {"content": content, "side": side})

    def _fused(
        self, content: Float[Tensor, "n_nodes dim"], views: list[Float[Tensor, "n_nodes dim"]]
    ) -> Float[Tensor, "n_nodes dim"]:
        """What the views have in common, and of what is special to each as much as the node prefers."""
        attention = torch.stack([self.query(view) for view in views]).softmax(dim=0)
        common = (attention * torch.stack(views)).sum(dim=0)
        special = [
            prefer(content).sigmoid() * (view - common)
            for prefer, view in zip(self.preference_gates, views, strict=True)
        ]
        return torch.stack([common, *special]).sum(dim=0) / (len(views) + 1)
