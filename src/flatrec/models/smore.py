"""SMORE: modalities filtered and fused in the frequency domain, each over an item graph of its own."""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from flatrec.data.dataset import Dataset
from flatrec.graphs.cosine import cosine_graph, largest_of
from flatrec.models.base import Encoded, SearchSpace
from flatrec.models.features import filled_features
from flatrec.models.gated_views import GatedViewModel
from flatrec.models.settings import ItemGraphConfig
from flatrec.ops.matmul import Linear
from flatrec.ops.spmm import Graph
from flatrec.utils.ranges import DropoutRate, LayerCount, NonNegativeInt


class SMORE(GatedViewModel):
    """SMORE (Ong & Khong, WSDM 2025, https://arxiv.org/abs/2412.14978).

    With M, K_m, E and s as in :class:`flatrec.models.mgcn.MGCN`, * element-wise, DFT the unitary discrete Fourier
    transform of each row, and U a complex filter per modality and one for their fusion f:

        V_m = F_m W_m + b_m
        N_m = inverse DFT of DFT(V_m) * U_m
        N_f = inverse DFT of U_f * product over m of DFT(V_m)
        K_f = the edges of all K_m, each with the largest of its entries
        Z = E_item * s(N W1 + b1), Y = K^(L_ii) Z, X = [0 ; Y] + M [0 ; Y], for each m and for f
        a_m = softmax over the columns of tanh(X_f W2_m + b2_m) W3_m
        C = mean of layers 0..L of M on [E_user ; E_item]
        P = dropout(s(C W4 + b4)), for each m and for f
        S = (P_f * X_f + sum of P_m * a_m * X_m) / (number of modalities + 1)
        H = C + S
        loss = BPR(H) + contrastive_weight * contrast + reg_weight * half the squares of the batch's rows of H

    The contrast is that of MGCN, with which SMORE shares all that is not said here.

    As in the released code: the softmax runs over the columns of a row, not over the modalities; fusion takes the
    spectra before their filters; filters begin as standard normal values; K_f is not normalized again.

    Deviations: those of MGCN, of squares, temperature, and item graphs on disk. The release needs an image and a text;
    here there may be any number of modalities, ``n_image_neighbors`` is for the one called ``image``, and one modality
    is fused with nothing.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = SMORE(data, SMORE.Config(embedding_dim=8, n_neighbors=3))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features, or fewer items than a graph has neighbors per item.
    """

    class Config(GatedViewModel.Config, ItemGraphConfig):
        """Settings of SMORE.

        Args:
            n_neighbors: number of neighbors per item in each item graph, the item itself included; at most the number
                of items.
            n_image_neighbors: the same for the modality called ``image``; 0 for as many as the others have.
            preference_dropout: fraction of the entries of P set to zero in training.
        """

        n_layers: LayerCount = 3
        n_image_neighbors: NonNegativeInt = 0
        preference_dropout: DropoutRate = 0.0

    config: Config
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.n_layers": (3, 4),
        "model.n_image_neighbors": (10, 15, 20, 40),
        "model.n_neighbors": (10, 15, 20, 40),
        "model.reg_weight": (1e-5, 1e-4),
        "model.preference_dropout": (0.0, 0.1),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        dim, names = self.config.embedding_dim, self.features.names
        self.filters = nn.ParameterList(_spectral_filter(dim) for _ in names)
        self.fusion_filter = _spectral_filter(dim)
        self.fusion_purifier, self.fusion_gate = Linear(dim, dim), Linear(dim, dim)
        self.queries = nn.ModuleList(
            nn.Sequential(Linear(dim, dim), nn.Tanh(), Linear(dim, dim, bias=False)) for _ in names
        )
        raw = filled_features(dataset, self.config.missing_modality)
        graphs = [cosine_graph(raw[name], self._size_of(name)) for name in names]
        self.item_graphs = nn.ModuleList(graphs)
        self.fusion_graph = largest_of(graphs)

    def encode(self) -> Encoded:
        """The sum of the content part and the side part."""
        spectra = [_spectrum(project(table)) for project, table in zip(self.projections, self.features(), strict=True)]
        fused = torch.stack(spectra).prod(dim=0)
        whole = self.view(self.fusion_purifier, self._rows(fused, self.fusion_filter), self.fusion_graph)
        content = self.content()
        side = self._preferred(self.fusion_gate, content) * whole
        modules = zip(
            self.purifiers, self.filters, self.queries, self.preference_gates, self.item_graphs, spectra, strict=True
        )
        for purify, weight, query, gate, graph, spectrum in modules:
            view = self.view(purify, self._rows(spectrum, weight), cast(Graph, graph))
            side = side + self._preferred(gate, content) * query(whole).softmax(dim=1) * view
        side = side / (len(spectra) + 1)
        return Encoded(content + side, {"content": content, "side": side})

    def _size_of(self, modality: str) -> int:
        """The number of neighbors per item in the graph of a modality.

        Raises:
            ValueError: there are fewer items.
        """
        size = self.config.n_image_neighbors if modality == "image" else 0
        if size > self.sizes[1]:
            raise ValueError(f"n_image_neighbors must be at most {self.sizes[1]}, the number of items, but is {size}")
        return size or self.config.n_neighbors

    def _rows(
        self, spectrum: Complex[Tensor, "n_items n_frequencies"], weight: Float[Tensor, "n_frequencies 2"]
    ) -> Float[Tensor, "n_items dim"]:
        """What a filter leaves of the rows with this spectrum."""
        filtered = spectrum * torch.view_as_complex(weight)
        rows: Tensor = torch.fft.irfft(filtered, n=self.config.embedding_dim, dim=1, norm="ortho")
        return rows

    def _preferred(self, gate: nn.Module, content: Float[Tensor, "n_nodes dim"]) -> Float[Tensor, "n_nodes dim"]:
        return F.dropout(gate(content).sigmoid(), self.config.preference_dropout, self.training)


def _spectral_filter(dim: int) -> nn.Parameter:
    """Real and imaginary part for each frequency of a real row."""
    return nn.Parameter(torch.randn(dim // 2 + 1, 2))


def _spectrum(rows: Float[Tensor, "n_items dim"]) -> Complex[Tensor, "n_items n_frequencies"]:
    """The unitary transform, in float32 at least: half precision has none."""
    spectrum: Tensor = torch.fft.rfft(rows.to(torch.promote_types(rows.dtype, torch.float32)), dim=1, norm="ortho")
    return spectrum
