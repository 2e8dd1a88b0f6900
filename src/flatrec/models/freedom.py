"""FREEDOM: a frozen item graph from features, and a user-item graph thinned anew every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

import torch
from scipy import sparse
from torch import Generator, Tensor, nn

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.interaction import thinned_graph, training_graph
from flatrec.graphs.propagation import last_layer, mean_of_layers
from flatrec.graphs.similarity import neighbour_matrix
from flatrec.graphs.sparse import Graph
from flatrec.models.base import Encoded, Model
from flatrec.models.initial import node_table
from flatrec.models.losses import bpr, rows


class FREEDOM(Model):
    """FREEDOM (Zhou & Shen, ACM MM 2023, https://arxiv.org/abs/2211.06924).

    S = weighted sum of one kNN graph a modality, from the raw features, built once and frozen; h = S^L_ii E_item;
    G = mean of layers 0..L_ui over the user-item graph; user vector G_u, item vector G_i + h.
    loss = BPR(users, items) + modality_weight * sum over modalities of BPR(users, projected features).
    Training propagates over a graph thinned by degree once an epoch, ranking over the full one.

    As in the released code: the features that are projected are trained, starting from the raw ones
    (``features="frozen"`` keeps them as they are, which leaves 94 % fewer parameters on Amazon Baby); BPR is a
    mean over the batch; no penalty on embeddings. Deviations: any number of modalities, where the paper has two;
    ``image_weight`` is the share of the modality called ``image`` and the others divide the rest evenly (without
    such a modality, or with it alone, all shares are equal).

    Args:
        dataset: gives training pairs and features; items that lack a modality get the mean of the others.
        dim: width of a representation.
        layers: L_ui, at least 0.
        item_layers: L_ii, at least 0.
        neighbours: items a row of each kNN graph, the item itself included, in [1, n_items].
        image_weight: share of the picture graph, in [0, 1].
        thinning: share of the training pairs left out of each epoch's graph, in [0, 1).
        modality_weight: weight of the modality losses, at least 0.
        features: whether feature tables are trained.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = FREEDOM(data, dim=8, neighbours=3)
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features, or a setting is out of range.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        dim: int = 64,
        layers: int = 2,
        item_layers: int = 1,
        neighbours: int = 10,
        image_weight: float = 0.1,
        thinning: float = 0.8,
        modality_weight: float = 1e-3,
        features: Literal["trained", "frozen"] = "trained",
    ) -> None:
        super().__init__()
        _check_has_features(dataset)
        if layers < 0 or item_layers < 0 or not modality_weight >= 0:
            raise ValueError(
                "layers, item_layers and modality_weight must be at least 0, "
                f"but are {layers}, {item_layers} and {modality_weight}"
            )
        if not 0 <= image_weight <= 1 or not 0 <= thinning < 1:
            raise ValueError(
                f"image_weight must lie in [0, 1] and thinning in [0, 1), but they are {image_weight} and {thinning}"
            )
        self.interactions = dataset.interactions
        self.sizes = (dataset.n_users, dataset.n_items)
        self.layers, self.item_layers = layers, item_layers
        self.thinning = thinning
        self.modality_weight = modality_weight
        self.nodes = node_table(dataset, dim)
        self.modalities = tuple(sorted(dataset.features))  # lists, since torch's dictionaries refuse some names
        tables = [torch.tensor(dataset.features[name].filled()) for name in self.modalities]
        self.features = nn.ParameterList(nn.Parameter(table, requires_grad=features == "trained") for table in tables)
        self.projections = nn.ModuleList(nn.Linear(table.shape[1], dim) for table in tables)
        self.graph = training_graph(dataset.interactions)
        self.epoch_graph = self.graph
        self.item_graph = item_graph(dataset, neighbours, image_weight)

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's thinned graph."""
        if self.thinning > 0:
            device = self.nodes.device
            self.epoch_graph = thinned_graph(self.interactions, self.thinning, generator).to(device)

    def encode(self) -> Encoded:
        """Both propagations and the projected features."""
        graph = self.epoch_graph if self.training else self.graph
        users, items = mean_of_layers(graph, self.nodes, self.layers).split(self.sizes)
        alike = last_layer(self.item_graph, self.nodes[self.sizes[0] :], self.item_layers)
        projected = [project(table) for project, table in zip(self.projections, self.features, strict=True)]
        return Encoded(torch.cat([users, items + alike]), dict(zip(self.modalities, projected, strict=True)))

    def loss(self, encoded: Encoded, batch: Batch) -> Tensor:
        """BPR on the representations plus BPR of the same users on each modality."""
        users, positives, negatives = rows(encoded.nodes, batch, self.sizes[0])
        loss = bpr(users, positives, negatives)
        for table in encoded.parts.values():
            chosen = nn.functional.embedding(torch.cat([batch.positives, batch.negatives]), table)
            liked, other = chosen.chunk(2)
            loss = loss + self.modality_weight * bpr(users, liked, other)
        return loss

    def representations(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """The two halves of the node table."""
        users, items = encoded.nodes.split(self.sizes)
        return users, items


def item_graph(dataset: Dataset, neighbours: int, image_weight: float) -> Graph:
    """S: the kNN graphs of all modalities, weighted and added; the union is not normalised again."""
    mixed = sparse.csr_array((dataset.n_items, dataset.n_items))
    for name, share in shares(dataset.features, image_weight).items():
        mixed = mixed + share * neighbour_matrix(dataset.features[name].filled(), neighbours)
    return Graph(cast(sparse.csr_array, mixed), symmetric=False)


def shares(modalities: Mapping[str, object], image_weight: float) -> dict[str, float]:
    """The weight of each modality's graph; they add up to 1."""
    if "image" not in modalities or len(modalities) == 1:
        return dict.fromkeys(modalities, 1 / len(modalities))
    rest = (1 - image_weight) / (len(modalities) - 1)
    return {name: image_weight if name == "image" else rest for name in modalities}


def _check_has_features(dataset: Dataset) -> None:
    if not dataset.features:
        raise ValueError(
            f"FREEDOM needs item features of at least one modality, but data set {dataset.name!r} has none; "
            "add features, or choose a model without modalities such as lightgcn"
        )
