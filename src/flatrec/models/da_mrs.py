"""DA-MRS: item graphs that all modalities agree on, a loss that weighs doubtful interactions, and alignment of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, cast

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.features import MissingPolicy
from flatrec.graphs.agreement import agreed_neighbors, row_degree_graph, session_neighbors
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.models.base import Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import filled_features, require_features
from flatrec.models.layers import node_table
from flatrec.models.losses import gather_embeddings
from flatrec.models.settings import GraphConfig, GraphDropoutConfig, WeightedEdgesConfig
from flatrec.ops.distinct import Distinct, distinct
from flatrec.ops.logsumexp import log_sum_exp
from flatrec.ops.matmul import linear, matmul
from flatrec.ops.normalize import l2_normalize
from flatrec.ops.propagation import propagate
from flatrec.ops.spmm import Graph
from flatrec.ops.topk import grouped_topk
from flatrec.utils.ranges import LayerCount, NonNegativeFloat, PositiveFloat, PositiveInt

BLOCK_ENTRIES = 1_000_000  # probabilities of one graph held at once by a CPU, 4 MB
HELD = 2**25  # the same on other devices, 128 MB
TINY = 1e-9  # in the logarithms of the pseudo-labels


class DAMRS(Model):
    """DA-MRS (Xv et al., KDD 2024, https://arxiv.org/abs/2406.12501).

    With M the symmetrically normalized user-item graph and unit() bringing rows to length 1; one item graph S_m per
    modality, of the nearest items among those that are more similar than the average pair in every modality, and one,
    the session graph, of the items with the most users in common; all of them frozen, with entries d_i^(-1/2)
    d_j^(-1/2) by the number of entries of a row; V their number:

        h_m = S_m^(L_ii) E_item, h = mean over m of h_m
        G = mean of layers 0..L of M on [E_user ; E_item]
        user u = G[u], item i = G[i] + h[i]
        loss = -mean of [a ln sigma(x) + r ln sigma(-x)] + neighbor_weight * mean over m of nd_m + agreement_weight * kl

    x is the margin of an interaction (u, p) over its negative. How far it is to be believed is a constant: with
    s_m = sigma(<user u, unit(h_m)[p]>) and b the mean of the same of negatives over batch and graphs,

        a = mean over m of s_m * exp(-variance over m of s_m)^2
        r = max over m of s_m - b, not below 0, where the mean over m of s_m is below b; otherwise 0

    For the batch's items i, with p_m[i] the softmax over all items j of cos(h_m[i], h_m[j]), joint labels J_m are the
    ``n_pseudo_labels`` items with the largest p_m + sum over all graphs of p, and single labels K_m those with the
    largest p_m among the others. With e = exp(cos(h_m[i], h_m[j]) / temperature),

        nd_m = mean over i of -ln(sum of e over J_m / sum of e over all) - ln(sum over K_m / sum over all but J_m)

    kl is the mean, over the batch's users and items, of the divergences in both directions between the probabilities
    sigma(<user u, unit(G[i])>) and sigma(<user u, unit(h)[i]>). Free rows are those of E_user and E_item.

    As in the released code: edges count the same, how often two items were bought together does not; no penalty of its
    own; the logarithms of nd_m have an offset of 1e-9.

    Deviations: features are in the graphs alone, and the layers and trained copies of the features that influence
    nothing are left out. With less than 20 items, where the release fails, fewer labels are taken. Of equally frequent
    items at the end of a session list, the lower id stays, which the release leaves open. A cosine may fall short of
    the mean by 1e-6, so that rounding does not part equal items. Any number of modalities and of negatives;
    ``weighted_edges`` is about M alone.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = DAMRS(data, DAMRS.Config(embedding_dim=8, n_neighbors=3))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, GraphConfig):
        """Settings of DA-MRS.

        Args:
            n_item_layers: number of propagation steps over each item graph (L_ii).
            n_neighbors: largest number of neighbors per item in the graph of a modality, the item itself included.
            n_session_neighbors: largest number of other items per item in the session graph.
            min_common_users: number of users whom two items of the session graph must have in common.
            missing_modality: what an item without a modality gets: the mean of the items that have it, or zeros.
            n_pseudo_labels: number of joint and number of single labels per item; at most half the number of items.
            temperature: temperature of the labels' probabilities.
            neighbor_weight: weight of the loss of the labels.
            agreement_weight: weight of the divergence between feedback and content.
        """

        n_item_layers: LayerCount = 1
        n_neighbors: PositiveInt = 10
        n_session_neighbors: PositiveInt = 2
        min_common_users: PositiveInt = 2
        missing_modality: MissingPolicy = "mean"
        n_pseudo_labels: PositiveInt = 10
        temperature: PositiveFloat = 0.2
        neighbor_weight: NonNegativeFloat = 1e-3
        agreement_weight: NonNegativeFloat = 1.0

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.agreement_weight": (0.0, 0.01, 0.1, 1.0, 10.0),
        "model.neighbor_weight": (0.0, 1e-4, 1e-3, 0.01, 0.1, 1.0),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        require_features(dataset)
        self.nodes = node_table(dataset, self.config.embedding_dim)
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )
        features = filled_features(dataset, self.config.missing_modality)
        agreed = agreed_neighbors(features, self.config.n_neighbors)
        self.item_graphs = nn.ModuleList(row_degree_graph(matrix) for matrix in agreed.values())
        self.item_graphs.append(
            row_degree_graph(session_neighbors(dataset, self.config.n_session_neighbors, self.config.min_common_users))
        )
        self.views = (*(f"modality_{name}" for name in agreed), "session")
        self.loss_weights = {
            "neighbors": self.config.neighbor_weight / len(self.views),
            "agreement": self.config.agreement_weight,
        }

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges."""
        self.graph.draw(generator)

    def encode(self) -> Encoded:
        """The propagation over users and items, and over each item graph; ``aux`` has them one by one."""
        users, items = propagate(
            self.graph.current(),
            self.nodes,
            self.config.n_layers,
            reduce="mean",
            dropout=self.config.message_dropout,
            training=self.training,
        ).split(self.sizes)
        own = self.nodes[self.sizes[0] :]
        views = [propagate(graph, own, self.config.n_item_layers, reduce="last") for graph in self._graphs()]
        alike = torch.stack(views).mean(dim=0)
        parts = dict(zip(self.views, views, strict=True))
        return Encoded(torch.cat([users, items + alike]), {"feedback": items, "content": alike, **parts})

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The weighted ranking loss, the labels' loss of each graph, and the divergence of feedback and content."""
        users, positives, negatives = gather_embeddings(encoded.node_embeddings, batch, self.sizes[0])
        units = [l2_normalize(encoded.aux[name]) for name in self.views]
        belief, doubt = _weights(users.detach(), [unit.detach() for unit in units], batch)
        margins = (users[:, None] * (positives[:, None] - negatives)).sum(dim=2)
        likely, unlikely = (F.logsigmoid(each).mean(dim=1) for each in (margins, -margins))
        terms = {"ranking": -(belief * likely + doubt * unlikely).mean()}
        items = distinct(torch.cat([batch.positives, batch.negatives.flatten()]))
        n_labels = max(1, min(self.config.n_pseudo_labels, self.sizes[1] // 2))
        labels = pseudo_labels([unit.detach() for unit in units], items.indices, n_labels)
        for name, unit, (joint, single) in zip(self.views, units, labels, strict=True):
            terms[f"neighbors/{name}"] = neighbor_loss(unit, items, joint, single, temperature=self.config.temperature)
        terms["agreement"] = self._divergence(encoded, distinct(batch.users), items)
        return {**terms, **self.penalty_terms(dict, partial(gather_embeddings, self.nodes, batch, self.sizes[0]))}

    def _divergence(self, encoded: Encoded, users: Distinct, items: Distinct) -> Tensor:
        """KL(a, c) + KL(c, a) of two Bernoulli distributions is the product of two differences, of a and of logits."""
        rows = F.embedding(users.indices, encoded.node_embeddings)
        feedback, content = (
            matmul(rows, l2_normalize(F.embedding(items.indices, encoded.aux[name])).T)
            for name in ("feedback", "content")
        )
        divergences = (feedback.sigmoid() - content.sigmoid()) * (feedback - content)
        return divergences.mean() if items.weights is None else users.mean(items.mean(divergences))

    def _graphs(self) -> list[Graph]:
        return [cast(Graph, graph) for graph in self.item_graphs]


def pseudo_labels(
    units: Sequence[Float[Tensor, "n_items dim"]], items: Int64[Tensor, "rows"], n_labels: int
) -> list[tuple[Int64[Tensor, "rows n_labels"], Int64[Tensor, "rows n_labels"]]]:
    """Return for each graph the joint and the single labels of some items; a block of rows at a time.

    Args:
        units: what each graph makes of all items, in rows of length 1.
        items: the items to label.
        n_labels: number of labels of each kind, at most half the number of items.
    """
    step = max(1, (BLOCK_ENTRIES if items.device.type == "cpu" else HELD) // len(units[0]))
    joint: list[list[Tensor]] = [[] for _ in units]
    single: list[list[Tensor]] = [[] for _ in units]
    for block in items.split(step):
        chances = [linear(F.embedding(block, unit), unit).softmax(dim=1) for unit in units]
        total = torch.stack(chances).sum(dim=0)
        for number, chance in enumerate(chances):
            together = grouped_topk(total + chance, n_labels, ordered=False)[1]
            joint[number].append(together)
            single[number].append(grouped_topk(chance.scatter(1, together, 0.0), n_labels, ordered=False)[1])
    return [(torch.cat(one), torch.cat(other)) for one, other in zip(joint, single, strict=True)]


def neighbor_loss(
    unit: Float[Tensor, "n_items dim"],
    items: Distinct,
    joint: Int64[Tensor, "rows n_labels"],
    single: Int64[Tensor, "rows n_labels"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """The loss nd_m of one graph; differentiable in the rows, not in the choice of the labels."""
    with torch.autocast(unit.device.type, enabled=False):
        rows = F.embedding(items.indices, unit) / temperature
        everyone = log_sum_exp(rows, unit, 1 / temperature).exp()
        near = torch.einsum("bd,bkd->bk", rows, F.embedding(torch.cat([joint, single], dim=1), unit)).exp()
        of_joint, of_single = near.tensor_split(2, dim=1)
        together = of_joint.sum(dim=1)
        alone = of_single.sum(dim=1) / (everyone - together).clamp_min(TINY)
        return -items.mean((together / everyone + TINY).log() + (alone + TINY).log())


def _weights(
    users: Float[Tensor, "batch dim"], units: Sequence[Float[Tensor, "n_items dim"]], batch: Batch
) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
    """How far each interaction is believed, and how far its contrary."""
    scores = torch.stack([(users * F.embedding(batch.positives, unit)).sum(dim=1) for unit in units]).sigmoid()
    others = torch.stack([(users[:, None] * F.embedding(batch.negatives, unit)).sum(dim=2) for unit in units]).sigmoid()
    bound, mean = others.mean(), scores.mean(dim=0)
    belief = (mean * (-2 * scores.var(dim=0)).exp()).clamp(0, 1)
    doubt = torch.where(mean < bound, (scores.amax(dim=0) - bound).clamp(0, 1), 0)
    return belief, doubt
