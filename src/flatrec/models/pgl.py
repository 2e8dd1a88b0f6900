"""PGL: modalities propagated over a small part of the user-item graph in training, and over all of it for ranking."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.graphs.knn import fused_knn_graph
from flatrec.models.base import Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables, filled_features
from flatrec.models.layers import xavier_uniform
from flatrec.models.losses import beside_preferences, gather_embeddings, info_nce
from flatrec.models.settings import GraphDropoutConfig, ItemGraphConfig, WeightedEdgesConfig
from flatrec.ops.columns import Columns, column_dropout
from flatrec.ops.matmul import Linear
from flatrec.ops.normalize import unit_rows
from flatrec.ops.propagation import propagate
from flatrec.utils.ranges import DropoutRate, Fraction, NonNegativeFloat, PositiveFloat


class PGL(Model):
    """PGL (Yu et al., AAAI 2025, https://doi.org/10.1609/aaai.v39i12.33429).

    Its local mode. With M the symmetrically normalized user-item graph, S the frozen item graph of FREEDOM, and unit()
    bringing rows to length 1; for every modality m, P_m holds one preference vector per user and F_m the features:

        V_m = unit(F_m W_m + b_m)
        G_m = mean of layers 0..L of M on [P_m ; V_m]
        user u = [G_1[u], G_2[u], ...]
        item i = [G_1[i] + (S^(L_ii) V_1)[i], G_2[i] + (S^(L_ii) V_2)[i], ...]
        loss = BPR(users, items) + contrastive_weight / 2 * [NCE(x, x') + NCE(y, y')]
        NCE(x, y) = mean over rows r of ln sum over s of exp(cos(x_r, y_s) / temperature) - cos(x_r, y_r) / temperature

    where x and x' are two dropouts of the batch's users, and y and y' two of its positives. Training propagates over
    a graph whose edges are dropped by degree, again every epoch, so that three tenths are left; ranking uses the full
    graph. A representation is ``embedding_dim`` times as wide as there are modalities, and items have no table of
    their own. Free rows are the batch's users' preferences of every modality; items have none.

    As in the released code: the features that are projected are trained, starting from the raw ones; the item graph
    comes from the raw ones. BPR and NCE are means over the batch.

    Deviations: the global mode is left out. It cuts the graph through its largest singular values, which on a graph
    between users and items come in equal pairs, so that the cut is not unique, and the release takes the top vectors
    where the smallest ones are meant, too. The release is shipped with a contrastive weight of zero; the defaults here
    are those of its authors' log for Amazon Baby. Any number of modalities; ``image_weight`` is the weight of the one
    called ``image`` in the item graph, as in FREEDOM.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = PGL(data, PGL.Config(embedding_dim=8, n_neighbors=3))
        >>> model.encode().node_embeddings.shape[1]
        16

    Raises:
        ValueError: the data set has no features, or fewer items than ``n_neighbors``.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, ItemGraphConfig):
        """Settings of PGL.

        Args:
            embedding_dim: width of a modality's part of a representation.
            image_weight: weight of the image graph among the kNN graphs.
            edge_dropout: fraction of the training interactions left out of each epoch's graph.
            dropout: fraction of the entries of a representation set to zero in each of the two contrasted copies.
            temperature: temperature of the contrast.
            contrastive_weight: weight of the contrast of users and items, which counts half.
            features: whether the feature tables are trained or frozen.
        """

        image_weight: Fraction = 0.1
        edge_dropout: DropoutRate = 0.7
        dropout: DropoutRate = 0.2
        temperature: PositiveFloat = 0.2
        contrastive_weight: NonNegativeFloat = 0.05
        features: Literal["trained", "frozen"] = "trained"

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    COLUMNS: ClassVar[Mapping[str, Columns]] = {"preferences.*": Columns(1), "projections.*": Columns(0)}
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.dropout": (0.1, 0.2, 0.3, 0.4),
        "model.contrastive_weight": (0.0, 0.01, 0.05, 0.1),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        embedding_dim = self.config.embedding_dim
        self.loss_weights = {"contrast": self.config.contrastive_weight / 2}
        self.features = FeatureTables(
            dataset, missing_modality=self.config.missing_modality, trained=self.config.features == "trained"
        )
        self.preferences = nn.ParameterList(xavier_uniform(dataset.n_users, embedding_dim) for _ in self.features.names)
        self.projections = nn.ModuleList(Linear(width, embedding_dim) for width in self.features.widths)
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )
        self.item_graph = fused_knn_graph(
            filled_features(dataset, self.config.missing_modality), self.config.n_neighbors, self.config.image_weight
        )

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges."""
        self.graph.draw(generator, "degree")

    def encode(self) -> Encoded:
        """Each modality propagated over both graphs, side by side; narrow products are faster than a wide one."""
        parts = []
        for preference, project, table in zip(self.preferences, self.projections, self.features(), strict=True):
            seen = unit_rows(project(table))
            users, items = propagate(
                self.graph.current(),
                torch.cat([preference, seen]),
                self.config.n_layers,
                reduce="mean",
                dropout=self.config.message_dropout,
                training=self.training,
            ).split(self.sizes)
            alike = propagate(self.item_graph, seen, self.config.n_item_layers, reduce="last")
            parts.append(torch.cat([users, items + alike]))
        return Encoded(torch.cat(parts, dim=1))

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The ranking loss, and the contrast of two copies of the batch's users and of its positives."""
        users, positives, negatives = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        terms = {"ranking": self.ranking(users, positives, negatives, batch)}
        rows = torch.cat([users, positives])
        halves = zip(self._copy(rows), self._copy(rows), strict=True)
        for kind, (one, other) in zip(("users", "items"), halves, strict=True):
            terms[f"contrast/{kind}"] = info_nce(one, other, self.config.temperature)
        return {**terms, **self.penalty_terms(dict, partial(self._free_rows, batch))}

    def _copy(self, rows: Float[Tensor, "rows dim"]) -> tuple[Tensor, Tensor]:
        """Users and positives with entries dropped, at length 1."""
        width = self.config.embedding_dim
        users, positives = unit_rows(column_dropout(rows, self.config.dropout, self.training, width=width)).chunk(2)
        return users, positives

    def _free_rows(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        no_rows = self.preferences[0].new_empty(len(batch), 0)
        return beside_preferences((no_rows, no_rows, no_rows), batch, self.preferences)
