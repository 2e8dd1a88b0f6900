"""DiffMM: graphs that denoisers rebuild for each modality every epoch, and a contrast of modalities."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.epoch_graph import EpochGraph
from flatrec.graphs.interaction import training_self_loop_graph
from flatrec.graphs.training_edges import self_loop_graph
from flatrec.models.base import Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables
from flatrec.models.layers import node_table, uniform_linear, xavier_uniform
from flatrec.models.losses import gather_embeddings, info_nce_among_all
from flatrec.models.rebuilding import DenoisingConfig, RebuiltGraphs
from flatrec.models.settings import FeatureConfig, GraphConfig, GraphDropoutConfig
from flatrec.ops.matmul import matmul
from flatrec.ops.normalize import l2_normalize
from flatrec.ops.propagation import propagate
from flatrec.ops.spmm import Graph
from flatrec.utils.ranges import LayerCount, NonNegativeFloat, NonNegativeInt, PositiveFloat

SLOPE = 0.2


class DiffMM(Model):
    """DiffMM (Jiang et al., ACM MM 2024, https://arxiv.org/abs/2406.11781).

    With M(B) = D^(-1/2) (B + I) D^(-1/2) for a graph B between users and items, M = M(training interactions), and
    unit() bringing rows to length 1; for every modality m, V_m = lrelu(F_m W_m) or F_m W_m + b_m, and M_m = M(B_m):

        X = M [E_user ; unit(V_m)], Y = M [X_users ; E_item], Z_m = X + Y + rebuilt_weight * M_m [E_user ; E_item]
        F = sum over m of softmax(w)_m Z_m
        H = F + M F + ... + M^L F + residual_weight * unit(F)
        C_m = sum over l = 0..L of M^l M_m [E_user ; unit(V_m)]
        loss = BPR(H) + reg_weight * squares of all of E_user and E_item + contrastive_weight * contrast

    The contrast is the InfoNCE, by cosine and against all users or all items, of the batch's users and positives in C_m
    against C_n, added up over all pairs of modalities (``contrast="modalities"``), or in H against each C_m
    (``contrast="embeddings"``).

    B_m is rebuilt at the start of every epoch. A denoiser per modality, with an optimizer of its own, learns to predict
    a user's row of interactions x from x with noise, and at the same time that what it predicts and x agree:

        loss of a denoiser = mean of w_t (x - y)^2 + signal_weight * mean of (y V_m - x E_item)^2

    where y is the prediction, t a random step, w_t the loss of signal by that step (1 for t = 0), and V_m and E_item
    constants. Then all steps are taken back from x (or from x with the noise of ``sampling_steps`` steps), and B_m has
    the ``n_rebuilt`` largest entries of each row, whether they are among the interactions or not. Entries of M_m are
    dropped once an epoch. No strategy perturbs the denoisers, which follow another objective, nor does a base optimizer
    reach them; see :mod:`flatrec.models.auxiliary` and :mod:`flatrec.models.diffusion`. B_m and the denoisers are saved
    with the model. Before the first epoch B_m is empty. Free rows are those of E_user and E_item.

    As in the released code, and unlike the paper as others report it: self loops in all graphs, the weights w_t, a
    penalty on the two tables alone, which is neither halved nor divided; both directions of an edge are dropped apart.

    Deviations: ranking uses M_m without dropped entries, of which the release leaves some out. BPR is a mean over the
    batch; the release divides by the configured batch size (``ranking_rows``). Any number of modalities.

    Cost: each epoch passes n_users dense rows of n_items entries through every denoiser, there and back, and once more
    for each step; the denoisers and their optimizers' state take 24 * n_items * hidden_dims[-1] bytes a modality.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = DiffMM(data, DiffMM.Config(embedding_dim=8, hidden_dims=(16,)))
        >>> model.on_epoch_start(torch.Generator())
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features, or fewer items than ``n_rebuilt``.
    """

    class Config(DenoisingConfig, GraphDropoutConfig, GraphConfig, FeatureConfig):
        """Settings of DiffMM.

        Args:
            projection: whether features are mapped with a leaky ReLU, by a linear map, or texts linearly and all others
                with a leaky ReLU.
            rebuilt_weight: weight of the rebuilt graphs in the embeddings.
            residual_weight: weight of the fused layer at length 1.
            contrast: what is contrasted: modalities with each other, or the embeddings with each modality.
            contrastive_weight: weight of the contrast.
            temperature: temperature of the contrast.
            reg_weight: weight of the squares.
            ranking_rows: number that the sum of the ranking losses is divided by; 0 for the size of the batch.
        """

        n_layers: LayerCount = 1
        projection: Literal["activated", "linear", "mixed"] = "activated"
        rebuilt_weight: NonNegativeFloat = 0.2
        residual_weight: NonNegativeFloat = 0.5
        contrast: Literal["modalities", "embeddings"] = "modalities"
        contrastive_weight: NonNegativeFloat = 0.01
        temperature: PositiveFloat = 0.5
        reg_weight: NonNegativeFloat = 1e-5
        ranking_rows: NonNegativeInt = 0

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.contrastive_weight": (1e-3, 0.01, 0.1),
        "model.temperature": (0.1, 0.2, 0.5),
        "model.signal_weight": (0.01, 0.1, 0.5),
        "model.residual_weight": (0.1, 0.5),
        "model.reg_weight": (1e-6, 1e-5, 1e-4),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        dim = self.config.embedding_dim
        self.loss_weights = {"squares": self.config.reg_weight, "contrast": self.config.contrastive_weight}
        self.nodes = node_table(dataset, dim)
        self.features = FeatureTables(dataset, missing_modality=self.config.missing_modality)
        self.projections = nn.ModuleList(
            uniform_linear(width, dim) if self._is_linear(name) else Activated(width, dim)
            for name, width in zip(self.features.names, self.features.widths, strict=True)
        )
        self.modality_weights = nn.Parameter(torch.full((len(self.features),), 0.5))
        self.graph = EpochGraph(
            dataset.interactions, training_self_loop_graph, self.config.edge_dropout, self_loop_graph
        )
        self.rebuilt = RebuiltGraphs(dataset.interactions, len(self.features), self.config)

    def _is_linear(self, name: str) -> bool:
        return self.config.projection == "linear" or (self.config.projection == "mixed" and name == "text")

    def on_epoch_start(self, generator: Generator) -> None:
        """Train the denoisers over all users, rebuild the graphs, and draw the epoch's graph with dropped edges."""
        with torch.no_grad():
            projected = [project(table) for project, table in zip(self.projections, self.features(), strict=True)]
        self.rebuilt.draw(projected, self.nodes.detach()[self.sizes[0] :], generator)
        self.graph.draw(generator)  # last, so that the denoisers see the same noise whatever is dropped

    def encode(self) -> Encoded:
        """The fused and propagated embeddings; ``aux`` has the view of each modality for the contrast."""
        graph = self.graph.current()
        users, items = self.nodes.split(self.sizes)
        views, layers = {}, []
        for name, project, table, rebuilt in zip(
            self.features.names, self.projections, self.features(), self.rebuilt.current(), strict=True
        ):
            seen = torch.cat([users, l2_normalize(project(table)).to(users.dtype)])
            first = self._thinned(graph(seen))
            second = self._thinned(graph(torch.cat([first[: self.sizes[0]], items])))
            layers.append(first + second + self.config.rebuilt_weight * rebuilt(self.nodes))
            views[f"view_{name}"] = self._propagated(graph, rebuilt(seen))
        weights = self.modality_weights.softmax(dim=0)
        fused = (weights[:, None, None] * torch.stack(layers)).sum(dim=0)
        nodes = self._propagated(graph, fused) + self.config.residual_weight * l2_normalize(fused)
        return Encoded(nodes, views)

    def _propagated(self, graph: Graph, rows: Tensor) -> Tensor:
        rate, layers = self.config.message_dropout, self.config.n_layers
        return propagate(graph, rows, layers, reduce="sum", dropout=rate, training=self.training)

    def _thinned(self, rows: Tensor) -> Tensor:
        return F.dropout(rows, self.config.message_dropout, self.training)

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The ranking loss, the contrast, and the squares of the tables."""
        blocks = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        ranking = self.ranking(*blocks, batch)
        if self.config.ranking_rows:
            ranking = ranking * (len(batch) / self.config.ranking_rows)
        penalties = self.penalty_terms(
            lambda: {"squares": self.nodes.square().sum()},
            partial(gather_embeddings, self.nodes, batch, self.sizes[0]),
        )
        return {"ranking": ranking, "contrast": self._contrast(encoded, batch), **penalties}

    def _contrast(self, encoded: Encoded, batch: Batch) -> Float[Tensor, ""]:
        views = [encoded.aux[f"view_{name}"] for name in self.features.names]
        if self.config.contrast == "modalities":
            pairs = list(itertools.combinations(views, 2))
        else:
            pairs = [(encoded.node_embeddings, view) for view in views]
        total = encoded.node_embeddings.new_zeros(())
        sides = ((slice(self.sizes[0]), batch.users), (slice(self.sizes[0], None), batch.positives))
        for (one, other), (side, indices) in itertools.product(pairs, sides):
            rows = F.embedding(indices, one[side]), F.embedding(indices, other[side])
            total = total + info_nce_among_all(*rows, other[side], self.config.temperature) / len(batch)
        return total


class Activated(nn.Module):
    """Features times a matrix, through a leaky ReLU."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.weight = xavier_uniform(width, dim)

    def forward(self, features: Float[Tensor, "n_items width"]) -> Float[Tensor, "n_items dim"]:
        """Return the mapped features."""
        return F.leaky_relu(matmul(features, self.weight), SLOPE)
