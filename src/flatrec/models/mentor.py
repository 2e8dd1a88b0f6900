"""MENTOR: modalities aligned with ids by their moments, and general features made robust to noise and masks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.graphs.epoch_graph import training_epoch_graph
from flatrec.graphs.knn import fused_knn_graph
from flatrec.models.base import Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables, filled_features
from flatrec.models.layers import xavier_normal
from flatrec.models.losses import beside_preferences, gather_embeddings, info_nce_among_all
from flatrec.models.preferences import Tower, preference_squares, preference_weights
from flatrec.models.settings import GraphDropoutConfig, ItemGraphConfig, WeightedEdgesConfig
from flatrec.ops.matmul import Linear
from flatrec.ops.normalize import l2_normalize
from flatrec.ops.propagation import propagate
from flatrec.utils.ranges import DropoutRate, Fraction, NonNegativeFloat, PositiveFloat, PositiveInt


class MENTOR(Model):
    """MENTOR (Xu et al., AAAI 2025, https://arxiv.org/abs/2402.19407).

    With M the symmetrically normalized user-item graph, S the frozen item graph of FREEDOM and unit() bringing rows to
    length 1; for every modality m, and for the ids, whose features are one free vector per item:

        x = unit([P ; lrelu(F W1 + b1) W2 + b2])
        X = x + M x + ... + M^L x, its items then c + S^(L_ii) c
        H = for every modality, w_m X_m of users and X_m of items, side by side; w free weights per user
        loss = -mean log2 sigma(margin) + alignment_weight * alignment + mask_weight * mask
               + contrastive_weight * contrast + reg_weight * (squares of P and w)

    Scores are inner products of H; the ids serve the alignment alone. The squares are the mean of P_m^2 over the
    batch's users, added up over the modalities, and the mean of w^2 over all users.

    - Alignment: |difference of means| + |difference of variances|, over all entries, for every two of H, the ids and
      the modalities, each of which is repeated until it is as wide as H.
    - Mask: 1 - the mean cosine of dropout(H) with a linear map of H, over all users, and the same over all items.
    - Contrast: InfoNCE by cosine of all users in one noisy view of H against all in another, and the same over all
      items. A view is H with h + noise * sign(h) * unit(uniform numbers) in the place of h, the rows after each product
      with M. The cosines are made in tiles: O(n_users) memory, O(n_users^2) time a step.

    Free rows are the users' preferences of ids and modalities and their weights, and the vectors of the items.

    As in the released code: logarithms to base 2; variances are unbiased; w starts as a softmax and is trained without
    constraint; all three tasks read everybody, whatever the batch is.

    Deviations: the release gives each of the two views towers of its own, so that the contrast trains these and no part
    of H; here views have H's towers, and ``views="released"`` gives each its own. The release computes the mask loss
    without gradients, so that it trains nothing; here both sides of the cosine are trained, and
    ``mask_loss="released"`` trains none. It ranks by what the last training forward left behind; here every evaluation
    propagates again. It holds all cosines of users at once, several gigabytes at Amazon Baby's size. Layers and tables
    that influence nothing are left out, a user graph among them. Its item graph is stored on disk without
    ``image_weight``; here the key is the content. Degrees have an offset of 1e-7, below what float32 shows. Modalities
    may be any number.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = MENTOR(data, MENTOR.Config(embedding_dim=8, hidden_dim=16, n_neighbors=3))
        >>> model.encode().node_embeddings.shape[1]
        16

    Raises:
        ValueError: the data set has no features, or fewer items than ``n_neighbors``.
    """

    class Config(GraphDropoutConfig, WeightedEdgesConfig, ItemGraphConfig):
        """Settings of MENTOR.

        Args:
            embedding_dim: width of a modality's part of a representation.
            hidden_dim: width between the two maps of a tower.
            image_weight: weight of the image graph among the kNN graphs.
            noise: length of the noise on a row of a view.
            mask_rate: fraction of the entries of H that the mask loss sets to zero in training.
            temperature: temperature of the contrast.
            alignment_weight: weight of the alignment.
            mask_weight: weight of the mask loss.
            contrastive_weight: weight of the contrast.
            reg_weight: weight of the squares.
            views: whether noisy views have the towers of the model (``shared``) or their own (``released``).
            mask_loss: whether the mask loss is trained, or a constant (``released``).
        """

        hidden_dim: PositiveInt = 256
        image_weight: Fraction = 0.1
        noise: NonNegativeFloat = 0.1
        mask_rate: DropoutRate = 0.5
        temperature: PositiveFloat = 0.2
        alignment_weight: NonNegativeFloat = 0.1
        mask_weight: NonNegativeFloat = 1.5
        contrastive_weight: NonNegativeFloat = 1e-3
        reg_weight: NonNegativeFloat = 1e-3
        views: Literal["shared", "released"] = "shared"
        mask_loss: Literal["trained", "released"] = "trained"

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"loss", "regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.mask_rate": (0.1, 0.3, 0.5, 0.7),
        "model.mask_weight": (0.5, 1.0, 1.5, 2.0, 2.5),
        "model.contrastive_weight": (1e-4, 1e-3, 1e-2),
        "model.alignment_weight": (0.1, 0.2, 0.3),
        "model.temperature": (0.2, 0.4, 0.6),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        self.loss_weights = {
            "alignment": self.config.alignment_weight,
            "mask": self.config.mask_weight,
            "contrast": self.config.contrastive_weight,
            "squares": self.config.reg_weight,
        }
        self.features = FeatureTables(dataset, missing_modality=self.config.missing_modality)
        self.items = xavier_normal(dataset.n_items, self.config.embedding_dim)
        self.id_tower = self._tower(self.config.embedding_dim)
        self.towers = nn.ModuleList(self._tower(width) for width in self.features.widths)
        self.view_towers = nn.ModuleList(
            nn.ModuleList(self._tower(width) for width in self.features.widths)
            for _ in range(2 if self.config.views == "released" else 0)
        )
        self.user_weights = preference_weights(dataset.n_users, len(self.features))
        width = len(self.features) * self.config.embedding_dim
        self.mask_map = Linear(width, width)
        self.graph = training_epoch_graph(
            dataset.interactions, weighted=self.config.weighted_edges, edge_dropout=self.config.edge_dropout
        )
        self.item_graph = fused_knn_graph(
            filled_features(dataset, self.config.missing_modality), self.config.n_neighbors, self.config.image_weight
        )

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graph with dropped edges."""
        self.graph.draw(generator)

    def encode(self) -> Encoded:
        """H; ``aux`` has the propagated ids and modalities, and the two noisy views."""
        inputs = self._inputs(self.towers)
        blocks = [self._over_items(self._layers(nodes, noisy=False)) for nodes in inputs]
        aux = {f"modality_{name}": block for name, block in zip(self.features.names, blocks, strict=True)}
        aux["ids"] = self._over_items(self._layers(self.id_tower(self.items), noisy=False))
        nodes = self._joined(blocks)
        for view in range(2):
            if self.config.views == "released":
                inputs = self._inputs(cast(nn.ModuleList, self.view_towers[view]))
            elif not self.training:  # without noise a view is what it is a view of
                aux[f"view_{view}"] = nodes
                continue
            aux[f"view_{view}"] = self._joined(self._over_items(self._layers(one, noisy=True)) for one in inputs)
        return Encoded(nodes, aux)

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The ranking loss to base 2, the three tasks that read everybody, and the squares."""
        ranking = self.ranking(*gather_embeddings(encoded.node_embeddings, batch, self.sizes[0]), batch) / math.log(2)
        sides = encoded.node_embeddings.split(self.sizes)
        views = zip(*(encoded.aux[f"view_{view}"].split(self.sizes) for view in range(2)), strict=True)
        terms = {"ranking": ranking, "alignment": self._alignment(encoded)}
        for kind, rows, (one, other) in zip(("users", "items"), sides, views, strict=True):
            terms[f"mask/{kind}"] = self._mask_loss(rows)
            terms[f"contrast/{kind}"] = info_nce_among_all(one, other, other, self.config.temperature) / len(one)
        return {**terms, **self.penalty_terms(lambda: self._squares(batch), lambda: self._free_rows(batch))}

    def _tower(self, width: int) -> Tower:
        sizes = {"hidden_dim": self.config.hidden_dim, "embedding_dim": self.config.embedding_dim}
        return Tower(self.sizes[0], width, **sizes)

    def _inputs(self, towers: nn.ModuleList) -> list[Float[Tensor, "n_nodes dim"]]:
        return [tower(table) for tower, table in zip(towers, self.features(), strict=True)]

    def _layers(self, nodes: Float[Tensor, "n_nodes dim"], *, noisy: bool) -> Float[Tensor, "n_nodes dim"]:
        """The sum of all layers; with noise on each but the first, where there is noise, in training."""
        graph, n_layers, dropout = self.graph.current(), self.config.n_layers, self.config.message_dropout
        if not noisy or not self.training:
            return propagate(graph, nodes, n_layers, "sum", dropout=dropout, training=self.training)
        total, hidden = nodes, nodes
        for _ in range(n_layers):
            hidden = propagate(graph, hidden, 1, "last", dropout=dropout)
            hidden = hidden + self.config.noise * hidden.sign() * l2_normalize(uniform(hidden))
            total = total + hidden
        return total

    def _over_items(self, nodes: Float[Tensor, "n_nodes dim"]) -> Float[Tensor, "n_nodes dim"]:
        """Users as they are, and items with what is alike added."""
        users, items = nodes.split(self.sizes)
        return torch.cat([users, items + propagate(self.item_graph, items, self.config.n_item_layers, reduce="last")])

    def _joined(self, blocks: Iterable[Float[Tensor, "n_nodes dim"]]) -> Float[Tensor, "n_nodes width"]:
        """Modalities side by side, users weighted."""
        weights = F.pad(self.user_weights, (0, 0, 0, self.sizes[1]), value=1.0).split(1, dim=1)
        return torch.cat([weight * block for weight, block in zip(weights, blocks, strict=True)], dim=1)

    def _alignment(self, encoded: Encoded) -> Tensor:
        """The distances of means and variances, of every two."""
        copies = len(self.features)
        single = [encoded.aux["ids"], *(encoded.aux[f"modality_{name}"] for name in self.features.names)]
        found = [_moments(encoded.node_embeddings, 1), *(_moments(block, copies) for block in single)]
        distances = [(one - other).abs().sum() for one, other in itertools.combinations(found, 2)]
        return torch.stack(distances).sum()

    def _mask_loss(self, rows: Float[Tensor, "n width"]) -> Tensor:
        """One minus the mean cosine of rows with entries masked and of mapped rows."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.mask_loss == "trained"):
            masked = F.dropout(rows, self.config.mask_rate, self.training)
            loss: Tensor = 1 - F.cosine_similarity(masked, self.mask_map(rows), dim=1).mean()
            return loss

    def _squares(self, batch: Batch) -> Mapping[str, Tensor]:
        terms = preference_squares(self.features.names, self.towers, batch)
        return {**terms, "squares/user_weights": self.user_weights.square().mean()}

    def _free_rows(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        preferences = [self.id_tower.preference, *(cast(Tower, tower).preference for tower in self.towers)]
        weights = F.embedding(batch.users, self.user_weights)
        positives, negatives = F.embedding(batch.positives, self.items), F.embedding(batch.negatives, self.items)
        return beside_preferences((weights, positives, negatives), batch, preferences)


def _moments(block: Float[Tensor, "n_nodes dim"], copies: int) -> Float[Tensor, "2"]:
    """Mean and unbiased variance of all entries of so many copies of a block."""
    n_entries = copies * block.numel()
    return torch.stack([block.mean(), block.var(correction=0) * (n_entries / (n_entries - 1))])


def uniform(like: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) of the same shape."""
    return torch.rand_like(like)
