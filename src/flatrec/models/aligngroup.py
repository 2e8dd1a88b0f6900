"""AlignGroup: recommends to groups of users as well, whose vectors agree with the middle of their members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.groups import Groups
from flatrec.graphs.groups import GroupGraphs
from flatrec.models.base import Encoded, Model, Replaceable, SearchSpace
from flatrec.models.layers import node_table
from flatrec.models.losses import gather_embeddings, info_nce
from flatrec.models.perceptron import NO_VECTORS, ProductPerceptron
from flatrec.models.scoring import Scoring
from flatrec.models.settings import EmbeddingConfig
from flatrec.ops.matmul import Linear
from flatrec.ops.normalize import l2_normalize
from flatrec.utils.ranges import LayerCount, NonNegativeFloat, PositiveFloat, PositiveInt

HIDDEN = 8  # units of the perceptron, as in the release


class AlignGroup(Model):
    """AlignGroup (Xu et al., CIKM 2024, https://arxiv.org/abs/2409.02580).

    With S_g the members and the training items of a group g, J the Jaccard index of every two of these sets, rows of
    averages M_members and M_items over the members and the items of a group, N over the groups of a person or an item,
    and E the tables of persons, items and groups:

        m_l = [M_members X_(l-1), M_items X_(l-1)] W_l + b_l,  X_0 = E,  X_l = N m_l,  l = 1..L
        H = X_0 + ... + X_L,  G = D^-1 J E_groups + m_1 + ... + m_L,  D the row sums of J
        score(group, item) = <G_g, H_i>,  score(person, item) = <E_u, E_i>
        center of g = (largest + smallest entry of H over its members) / 2, for each column

    A group has the vector [0, G_g], a person [E_u, 0] and an item [E_i, H_i], so that one inner product is both scores
    and groups are ranked, recommended to and exported as persons are. Over the groups and the persons of a batch apart:

        loss = BPR over groups + BPR over persons + alignment_weight * alignment
        alignment = InfoNCE of the centers and the G_g of the batch's groups by cosine, with temperature T

    Free rows are the batch's rows of E. The release adds no penalty to its loss.

    Deviations: the layers W_l are trained. The release keeps them in a plain list that its optimizer does not see. One
    batch has groups and persons, each kind with its own mean, and one optimizer; the release alternates a phase of
    groups with one of persons in each epoch, each with a new RMSprop. The inner product is the default predictor; that
    of the release is a perceptron, which its authors replace by the inner product for CAMRa2011. The overlap of groups
    is a sparse matrix. Of equal extreme entries of members each gets a part of the gradient, not the first alone.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = AlignGroup(data, AlignGroup.Config(embedding_dim=8))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no groups.
    """

    class Config(EmbeddingConfig):
        """Settings of AlignGroup.

        Args:
            n_layers: number of propagation steps between groups and their members and items (L).
            temperature: temperature of the alignment.
            alignment_weight: weight of the alignment.
            predictor: how a group or person and an item are scored. ``dot`` is the inner product. ``mlp`` is the
                perceptron of the release, sigma(w LeakyReLU(W (a * b) + c) + d) of the product a * b by entries. Its
                scores are no inner products, so that what reads vectors alone refuses it: exports of vectors, indexes,
                new items, and users who were not trained on.
        """

        embedding_dim: PositiveInt = 32
        n_layers: LayerCount = 4
        temperature: PositiveFloat = 0.2
        alignment_weight: NonNegativeFloat = 0.01
        predictor: Literal["dot", "mlp"] = "dot"

    config: Config
    GROUPS_BY_MEMBERS: ClassVar[bool] = True
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.n_layers": (2, 3, 4),
        "model.temperature": (0.2, 0.4, 0.6, 0.8),
        "model.alignment_weight": (0.001, 0.01, 0.1),
    }
    is_group: Bool[Tensor, "n_users"]
    group_users: Int[Tensor, "n_groups"]
    row_of_group: Int[Tensor, "n_users"]
    owners: Int[Tensor, "n_memberships"]
    members: Int[Tensor, "n_memberships"]

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        if dataset.groups is None:
            raise ValueError(
                f"AlignGroup needs groups of users, but {dataset.name!r} has none; add [groups] to its dataset.toml, "
                "or choose a model for users alone such as lightgcn"
            )
        groups, embedding_dim = dataset.groups, self.config.embedding_dim
        self.loss_weights = {"alignment": self.config.alignment_weight}
        self.nodes = _tables(dataset, groups, embedding_dim)
        self.aggregations = nn.ModuleList(Linear(2 * embedding_dim, embedding_dim) for _ in range(self.config.n_layers))
        self.predictor = _perceptron(embedding_dim) if self.config.predictor == "mlp" else None
        self.graphs = GroupGraphs(groups, dataset.interactions)
        rows = np.searchsorted(groups.indices, np.arange(groups.n_users))
        for name, values in (
            ("is_group", groups.is_group),
            ("group_users", groups.indices),
            ("row_of_group", rows),
            ("owners", rows[groups.groups]),
            ("members", groups.persons.astype(np.int64)),
        ):
            self.register_buffer(name, torch.tensor(values), persistent=False)

    def encode(self) -> Encoded:
        """The vectors of both tasks side by side; ``aux`` has G as ``groups`` and H of all nodes as ``nodes``."""
        layer = total = self.nodes
        groups = self.graphs.overlap(self.nodes[self.group_users])
        for aggregate in self.aggregations:
            message = aggregate(torch.cat([self.graphs.members(layer), self.graphs.items(layer)], dim=1))
            layer = self.graphs.nodes(message)
            total, groups = total + layer, groups + message
        n_users, dim = self.sizes[0], self.config.embedding_dim
        of_groups = groups.new_zeros(n_users, dim).index_copy(0, self.group_users, groups)
        of_persons = self.nodes[:n_users].masked_fill(self.is_group[:, None], 0)
        left = torch.cat([of_persons, self.nodes[n_users:]])
        right = torch.cat([of_groups, total[n_users:]])
        return Encoded(torch.cat([left, right], dim=1), {"groups": groups, "nodes": total})

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The ranking of groups and of persons, each where the batch has some, and the alignment of groups."""
        of_groups = self.is_group[batch.users]
        parts = {"persons": _selected(batch, ~of_groups), "groups": _selected(batch, of_groups)}
        ranking = {
            f"ranking/{kind}": self._ranking(encoded, part, half)
            for half, (kind, part) in enumerate(parts.items())
            if len(part)
        }
        alignment = self._alignment(encoded, self.row_of_group[parts["groups"].users])
        penalties = self.penalty_terms(dict, lambda: gather_embeddings(self.nodes, batch, self.sizes[0]))
        return {**ranking, "alignment": alignment, **penalties}

    def user_item_embeddings(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """The two halves of the vectors, whose inner products rank.

        Raises:
            ValueError: the predictor is the perceptron.
        """
        if self.predictor is not None:
            raise ValueError(NO_VECTORS)
        users, items = encoded.node_embeddings.split(self.sizes)
        return users, items

    def scoring(self, encoded: Encoded) -> Scoring:
        """How the scores are made: by vectors, or by the perceptron, whose weights serve both halves of the vectors."""
        if self.predictor is None:
            return super().scoring(encoded)
        users, items = encoded.node_embeddings.detach().split(self.sizes)
        hidden, activation, output = self.predictor
        assert isinstance(hidden, Linear)
        assert isinstance(activation, nn.LeakyReLU)
        assert isinstance(output, Linear)
        weight = hidden.weight.detach()
        return ProductPerceptron(
            users,
            items,
            torch.cat([weight, weight], dim=1),
            hidden.bias.detach(),
            output.weight.detach()[0],
            output.bias.detach()[0],
            activation.negative_slope,
        )

    def centers(self, encoded: Encoded) -> Float[Tensor, "n_groups dim"]:
        """The middle between the largest and the smallest entry of each group's members, for each column."""
        vectors = F.embedding(self.members, encoded.aux["nodes"])
        places = self.owners[:, None].expand_as(vectors)
        empty = vectors.new_zeros(len(self.group_users), vectors.shape[1])
        largest, smallest = (
            empty.scatter_reduce(0, places, vectors, kind, include_self=False) for kind in ("amax", "amin")
        )
        return (largest + smallest) / 2

    def scores(self, users: Float[Tensor, "*n width"], items: Float[Tensor, "*m width"]) -> Float[Tensor, "*k 1"]:
        """The scores of users, groups or persons, and items, given vectors of :meth:`encode` that broadcast."""
        own, propagated = (users * items).chunk(2, dim=-1)  # one of which is zero
        return self._predicted(own + propagated)

    def _predicted(self, products: Float[Tensor, "*n dim"]) -> Float[Tensor, "*n 1"]:
        if self.predictor is None:
            return products.sum(dim=-1, keepdim=True)
        return torch.sigmoid(self.predictor(products.flatten(end_dim=-2))).view(*products.shape[:-1], 1)

    def _ranking(self, encoded: Encoded, part: Batch, half: int) -> Tensor:
        """The ranking of one kind by its half of the vectors, whose lengths losses of cosines read."""
        blocks = gather_embeddings(encoded.node_embeddings, part, self.sizes[0])
        users, positives, negatives = (block.chunk(2, dim=-1)[half] for block in blocks)
        if self.predictor is not None:  # scores, as inner products of vectors of one entry
            positives, negatives = self._predicted(users * positives), self._predicted(users[:, None] * negatives)
            users = torch.ones_like(positives)
        return self.ranking(users, positives, negatives, part)

    def _alignment(self, encoded: Encoded, groups: Tensor) -> Tensor:
        if not len(groups):
            return encoded.node_embeddings.new_zeros(())
        centers, vectors = (
            l2_normalize(F.embedding(groups, table)) for table in (self.centers(encoded), encoded.aux["groups"])
        )
        return info_nce(centers, vectors, self.config.temperature)


def _tables(dataset: Dataset, groups: Groups, embedding_dim: int) -> nn.Parameter:
    """One table of users and then items; persons, groups and items are each drawn by their own number."""
    table = node_table(dataset, embedding_dim)
    with torch.no_grad():
        for rows in (groups.person_indices, groups.indices):
            table[rows] = nn.init.xavier_uniform_(torch.empty(len(rows), embedding_dim))
    return table


def _perceptron(embedding_dim: int) -> nn.Sequential:
    return nn.Sequential(Linear(embedding_dim, HIDDEN), nn.LeakyReLU(), Linear(HIDDEN, 1))


def _selected(batch: Batch, rows: Bool[Tensor, "batch"]) -> Batch:
    return batch.with_indices(*(column[rows] for column in batch.indices))
