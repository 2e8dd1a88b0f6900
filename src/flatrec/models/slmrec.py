"""SLMRec: a contrastive main loss, and self-supervision that aligns modalities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.models.base import Cold, Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables
from flatrec.models.layers import node_table, uniform_linear
from flatrec.models.losses import info_nce
from flatrec.models.settings import FeatureConfig, GraphConfig, GraphDropoutConfig, WeightedEdgesConfig
from flatrec.ops.normalize import l2_normalize
from flatrec.ops.propagation import propagate
from flatrec.utils.ranges import MAX_COUNT, LayerCount, NonNegativeFloat, PositiveFloat, Range


class SLMRec(Model):
    """SLMRec (Tao et al., IEEE TMM 2022, https://doi.org/10.1109/TMM.2022.3187556), task FAC.

    Task FAC. With M the symmetrically normalized user-item graph, unit() bringing rows to length 1, and

        NCE(x, y; T) = mean over rows r of ln sum over s of exp(<x_r, y_s> / T) - <x_r, y_r> / T

    over the batch's users u and positives p (negatives are not used); for the ids and for every modality m:

        X_id = E_item, X_m = unit(F_m) W_m + b_m
        Y_k = mean of layers 0..L of M on [E_user ; X_k], for k = id and every m, the same E_user in each
        users = [Y_id, Y_1, Y_2, ...] W + b, items likewise with a map of their own
        loss = NCE(unit(users[u]), unit(items[p]); temperature) + alignment_weight * sum over m of alignment_m

    There is no penalty of its own; free rows are the batch's rows of E_user and, for positives, of E_item.

    Alignment goes along a chain, on the rows y_k = Y_k[p], by linear maps A and B:

        a_1 = A_1 y_id, alignment_1 = NCE(a_1, B_1 y_1; alignment_temperature)
        a_2 = A_2 a_1, alignment_2 = NCE(a_2, B_2 y_2; alignment_temperature), and so on

    The last step of the chain has half the width (with one modality, the full width). It begins with ``image`` and ends
    with ``text``, other modalities between them by name.

    As in the released code: with exactly two modalities a step without a counterpart (that of the missing
    audio) remains in the chain; neither side of an alignment is normalized. The release trains with a weight decay of
    1e-4, which is left to ``optimizer.weight_decay`` here.

    Deviations: the release ranks by what the last training forward left behind, through a logistic function that makes
    ties in float32; here every evaluation propagates again, and the inner products themselves rank. The map of
    the audio that no loss reaches is left out. Of its tasks only FAC runs without audio; it is the one here. Degrees
    have an offset of 1e-7 instead of 1e-8, below what float32 shows. The chain for any number of modalities is not in
    the paper.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = SLMRec(data, SLMRec.Config(embedding_dim=8))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, GraphConfig, FeatureConfig):
        """Settings of SLMRec.

        Args:
            temperature: temperature of the main loss.
            alignment_temperature: temperature of the alignment.
            alignment_weight: weight of the alignment.
        """

        embedding_dim: Annotated[int, Range(ge=2, le=MAX_COUNT)] = 64
        n_layers: LayerCount = 3
        temperature: PositiveFloat = 0.2
        alignment_temperature: PositiveFloat = 0.5
        alignment_weight: NonNegativeFloat = 0.1

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    COLD: ClassVar[Cold] = "features"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.alignment_weight": (0.01, 0.05, 0.1, 0.5, 1.0),
        "model.alignment_temperature": (0.1, 0.2, 0.5, 1.0),
        "optimizer.lr": (1e-4, 1e-3, 1e-2, 0.1),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        embedding_dim = self.config.embedding_dim
        self.loss_weights = {"alignment": self.config.alignment_weight}
        self.nodes = node_table(dataset, embedding_dim)
        self.features = FeatureTables(
            dataset, missing_modality=self.config.missing_modality, normalized=dataset.features.keys()
        )
        self.chain = tuple(sorted(self.features.names, key=lambda name: (name != "image", name == "text", name)))
        views = 1 + len(self.features)
        self.maps = nn.ModuleList(uniform_linear(width, embedding_dim) for width in self.features.widths)
        self.fuse_users = uniform_linear(views * embedding_dim, embedding_dim)
        self.fuse_items = uniform_linear(views * embedding_dim, embedding_dim)
        last = embedding_dim // 2 if len(self.chain) > 1 else embedding_dim
        widths = [embedding_dim] * (len(self.chain) - 1) + [last]
        self.anchors = nn.ModuleList(uniform_linear(embedding_dim, width) for width in widths)
        self.partners = nn.ModuleList(uniform_linear(embedding_dim, width) for width in widths)
        self.bridge = uniform_linear(embedding_dim, embedding_dim) if len(self.chain) == 2 else None
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges."""
        self.graph.draw(generator)

    def encode(self) -> Encoded:
        """Ids and modalities propagated at once, side by side, then fused."""
        users, items = self.nodes.split(self.sizes)
        seen = [project(table) for project, table in zip(self.maps, self.features(), strict=True)]
        inputs = torch.cat([users.repeat(1, 1 + len(seen)), torch.cat([items, *seen], dim=1)])
        of_users, of_items = propagate(
            self.graph.current(),
            inputs,
            self.config.n_layers,
            reduce="mean",
            dropout=self.config.message_dropout,
            training=self.training,
        ).split(self.sizes)
        names = ["ids", *(f"view_{name}" for name in self.features.names)]
        views = dict(zip(names, of_items.chunk(len(names), dim=1), strict=True))
        return Encoded(torch.cat([self.fuse_users(of_users), self.fuse_items(of_items)]), views)

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The main loss, and the alignment of each modality along the chain as ``alignment/`` with its name."""
        indices = torch.cat([batch.users, batch.positives + self.sizes[0]])
        users, items = l2_normalize(F.embedding(indices, encoded.node_embeddings)).chunk(2)
        terms = {"main": info_nce(users, items, self.config.temperature)}
        anchor = F.embedding(batch.positives, encoded.aux["ids"])
        for step, name in enumerate(self.chain):
            anchor = self.anchors[step](self.bridge(anchor) if self.bridge is not None and step == 1 else anchor)
            partner = self.partners[step](F.embedding(batch.positives, encoded.aux[f"view_{name}"]))
            terms[f"alignment/{name}"] = info_nce(anchor, partner, self.config.alignment_temperature)
        return {**terms, **self.penalty_terms(dict, lambda: self._free_rows(batch))}

    def _free_rows(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Without rows of negatives, which the loss does not read."""
        indices = torch.cat([batch.users, batch.positives + self.sizes[0]])
        users, positives = F.embedding(indices, self.nodes).chunk(2)
        return users, positives, positives[:, :0]
