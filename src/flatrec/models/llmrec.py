"""LLMRec: profiles, attributes and pairs that a language model wrote, beside features and pruned losses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal, TypeAlias, cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from flatrec.data.augmentation import Augmentation
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.graphs.epoch_graph import EpochGraph
from flatrec.graphs.interaction import root_degree_graphs
from flatrec.graphs.training_edges import both_root_degrees
from flatrec.models.augmented import AugmentedVectors, Suggestions, drawn
from flatrec.models.base import Encoded, Modalities, Model, Replaceable, SearchSpace
from flatrec.models.features import FeatureTables
from flatrec.models.layers import node_table, uniform_linear
from flatrec.models.losses import gather_embeddings, half_squares
from flatrec.models.settings import FeatureConfig, GraphConfig, GraphDropoutConfig
from flatrec.ops.normalize import l2_normalize
from flatrec.utils.ranges import DropoutRate, Fraction, NonNegativeFloat, PositiveFloat, PositiveInt

Pruned: TypeAlias = Literal["smallest", "largest"]
Penalty: TypeAlias = Literal["squares", "reciprocals"]
Restoration: TypeAlias = Literal["cosine", "squares"]
SMALLEST = 1e-8  # in the reciprocals


class LLMRec(Model):
    """LLMRec (Wei et al., WSDM 2024, https://arxiv.org/abs/2311.00423).

    A language model has written profiles Y of users, attributes A_k of items, and for each user a liked and a disliked
    item; they are the data set's :class:`flatrec.data.augmentation.Augmentation`. Each of the three may be missing, and
    what is made of it is then left out. With R the training interactions, P = D_u^(-1/2) R and Q = D_i^(-1/2) R^T,
    unit() bringing rows to length 1, and F_m the features of modality m:

        X_m = F_m W_m + b_m, users_m = P X_m, items_m = Q users_m, and likewise for X_k = A_k W_a + b_a
        items_y = Q (Y W_y + b_y), users_y = P items_y
        u_0 = E_user, i_0 = E_item, u_l = P i_(l-1), i_l = Q u_l, in layer L both softmaxes over their columns
        users = mean of u_0..u_L + modality_weight * sum over m of unit(users_m) + profile_weight * unit(users_y)
              + attribute_weight * sum over k of unit(users_k), items likewise
        loss = PB(users, items) + reg_weight * half the squares of the batch's rows of these / reg_rows
             + modality_bpr_weight * sum over m of PB(users_m, items_m)
             + attribute_bpr_weight * sum over k of PB(users_y, items_k)
             + feature_reg_weight * half the squares of all users_m and items_m / n_items
             + restoration_weight * restoration

    The batch is extended by the suggested pairs of ``suggestion_fraction`` of its users; they enter no graph. PB is BPR
    over the extended batch without ``prune_fraction`` of its losses, so that each PB leaves out others. Restoration:
    with ``mask_fraction`` of the rows of Y and of all A_k replaced by the mean row in a training step, what a linear
    decoder makes of the masked users_y and items_k is compared with what was masked. Free rows are those of E_user and
    E_item.

    As in the released code: P and Q divide by the root of one degree alone; the softmax in the last layer; restoration
    is off by default, and the gradient of that of profiles reaches the decoder alone. Which losses PB leaves out is
    open in the paper: by its formula and the release those of the interactions that are ranked best
    (``prune="smallest"``), by its aim, to drop what is unreliable, the others (``prune="largest"``).

    Deviations: the release divides by the squares that its penalty should add up, so that rows grow without limit;
    ``penalty="reciprocals"`` is that. Its decoder is never trained, and its masks are drawn in evaluation too, and pile
    up in the stored profiles from step to step; here masks are those of one training step. The offset of 1e-8 in the
    sigmoid is left out, and so are layers that influence nothing. Any number of modalities and of attributes.

    Example:
        >>> from flatrec.testing import block_dataset, whole_batch
        >>> data = block_dataset()
        >>> model = LLMRec(data, LLMRec.Config(embedding_dim=8))
        >>> model.loss(model.encode(), whole_batch(data)).ndim
        0

    Raises:
        ValueError: the data set has no features, or there is a weight of the restoration and no mask.
    """

    class Config(GraphDropoutConfig, GraphConfig, FeatureConfig):
        """Settings of LLMRec.

        Args:
            modality_weight: weight of each modality in the embeddings.
            profile_weight: weight of the profiles in the embeddings.
            attribute_weight: weight of each attribute in the embeddings.
            modality_bpr_weight: weight of the pruned BPR of each modality.
            attribute_bpr_weight: weight of the pruned BPR between profiles and each attribute.
            feature_reg_weight: weight of the squares of the propagated features.
            reg_weight: weight of the penalty on the batch's rows.
            reg_rows: number that the penalty is divided by, namely the batch size.
            penalty: whether rows are penalized by their squares or, as in the release, by the reciprocals of these.
            prune_fraction: fraction of the losses of a batch that are left out.
            prune: whether the smallest or the largest losses are left out.
            suggestion_fraction: fraction of a batch's interactions whose users' suggested pairs extend it.
            mask_fraction: fraction of the profiles, and of the items, that are masked in a training step.
            restoration_weight: weight of the restoration of what was masked; needs a mask_fraction.
            restoration: whether restored vectors are compared by their cosine or by the squares of unit vectors.
            restoration_exponent: exponent of one minus the cosine.
        """

        modality_weight: NonNegativeFloat = 0.02
        profile_weight: NonNegativeFloat = 2.8
        attribute_weight: NonNegativeFloat = 0.005
        modality_bpr_weight: NonNegativeFloat = 1e-4
        attribute_bpr_weight: NonNegativeFloat = 0.012
        feature_reg_weight: NonNegativeFloat = 1e-5
        reg_weight: NonNegativeFloat = 1e-5
        reg_rows: PositiveInt = 1024
        penalty: Penalty = "squares"
        prune_fraction: DropoutRate = 0.71
        prune: Pruned = "smallest"
        suggestion_fraction: Fraction = 0.1
        mask_fraction: DropoutRate = 0.0
        restoration_weight: NonNegativeFloat = 0.0
        restoration: Restoration = "cosine"
        restoration_exponent: PositiveFloat = 2.0

    config: Config
    MODALITIES: ClassVar[Modalities] = "one or more"
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset({"regularization"})
    SEARCH_SPACE: ClassVar[SearchSpace] = {
        "model.prune_fraction": (0.0, 0.2, 0.5, 0.71),
        "model.suggestion_fraction": (0.05, 0.1, 0.2),
        "model.profile_weight": (0.5, 1.0, 2.8),
        "model.attribute_weight": (0.005, 0.05, 0.5),
        "model.modality_weight": (0.02, 0.1, 0.5),
    }

    def __init__(self, dataset: Dataset, config: Config | None = None) -> None:
        super().__init__(dataset, config)
        dim = self.config.embedding_dim
        restores = self.config.restoration_weight > 0
        if restores and self.config.mask_fraction == 0:
            raise ValueError(
                f"restoration_weight is {self.config.restoration_weight}, but nothing is masked that could be "
                "restored; set mask_fraction too, such as 0.2"
            )
        self.nodes = node_table(dataset, dim)
        self.features = FeatureTables(dataset, missing_modality=self.config.missing_modality)
        self.projections = nn.ModuleList(uniform_linear(width, dim) for width in self.features.widths)
        said = dataset.augmentation or Augmentation()
        said.check_split(dataset.interactions)
        self.suggested = Suggestions(said)
        self.attribute_names = tuple(said.attributes)
        self.profiles = None if said.profiles is None else AugmentedVectors(torch.tensor(said.profiles.impute()))
        self.attributes = nn.ModuleList(
            AugmentedVectors(torch.tensor(one.impute())) for one in said.attributes.values()
        )
        width = next((one.width for one in said.attributes.values()), 0)
        self.profile_map = None if said.profiles is None else uniform_linear(said.profiles.width, dim)
        self.attribute_map = uniform_linear(width, dim) if width else None
        self.profile_decoder = uniform_linear(dim, said.profiles.width) if restores and said.profiles else None
        self.attribute_decoder = uniform_linear(dim, width) if restores and width else None
        self.graphs = EpochGraph(dataset.interactions, _both_halves, self.config.edge_dropout, both_root_degrees)
        self.loss_weights = self._weights()

    def _weights(self) -> dict[str, float]:
        config = self.config
        weights = {"modalities": config.modality_bpr_weight, "features": config.feature_reg_weight}
        weights["squares"] = config.reg_weight
        if self.profiles is not None and self.attribute_names:
            weights["attributes"] = config.attribute_bpr_weight
        if self._n_masked != (0, 0) and config.restoration_weight > 0:
            weights["restoration"] = config.restoration_weight
        return weights

    @property
    def _n_masked(self) -> tuple[int, int]:
        """How many users and how many items are masked in a training step."""
        users, items = (int(size * self.config.mask_fraction) for size in self.sizes)
        return users if self.profiles is not None else 0, items if self.attribute_names else 0

    def on_epoch_start(self, generator: Generator) -> None:
        """Draw the epoch's graphs with dropped edges."""
        self.graphs.draw(generator)

    def encode(self) -> Encoded:
        """Ids, modalities, profiles and attributes, each propagated; ``aux`` has all but the ids, users first."""
        device = self.nodes.device
        counts = self._n_masked if self.training else (0, 0)
        masked = [drawn(size, count, device) for size, count in zip(self.sizes, counts, strict=True)]
        parts: dict[str, Tensor] = {}
        for name, project, table in zip(self.features.names, self.projections, self.features(), strict=True):
            parts[f"modality_{name}"] = self._from_items(project(table))
        if self.profiles is not None and self.profile_map is not None:
            parts["profiles"] = self._from_users(self.profile_map(self.profiles(masked[0])))
        for name, vectors in zip(self.attribute_names, self.attributes, strict=True):
            parts[f"attribute_{name}"] = self._from_items(cast(nn.Module, self.attribute_map)(vectors(masked[1])))
        nodes = self._ids()
        for name, part in parts.items():
            nodes = nodes + self._weight_of(name) * l2_normalize(part)
        return Encoded(nodes, {**parts, "masked_users": masked[0], "masked_items": masked[1]})

    def _weight_of(self, part: str) -> float:
        kind = part.partition("_")[0]
        weights = {"modality": self.config.modality_weight, "attribute": self.config.attribute_weight}
        return weights.get(kind, self.config.profile_weight)

    def _from_items(self, items: Float[Tensor, "n_items dim"]) -> Float[Tensor, "n_nodes dim"]:
        users = self._product(0, items)
        return torch.cat([users, self._product(1, users)])

    def _from_users(self, users: Float[Tensor, "n_users dim"]) -> Float[Tensor, "n_nodes dim"]:
        items = self._product(1, users)
        return torch.cat([self._product(0, items), items])

    def _product(self, half: int, rows: Tensor) -> Tensor:
        graph = self.graphs.current()[half]
        return F.dropout(graph(rows), self.config.message_dropout, self.training)

    def _ids(self) -> Float[Tensor, "n_nodes dim"]:
        layers: list[Tensor] = [self.nodes]
        items = self.nodes[self.sizes[0] :]
        for layer in range(1, self.config.n_layers + 1):
            last = layer == self.config.n_layers
            users = self._product(0, items)
            users = users.softmax(dim=1) if last else users
            items = self._product(1, users)
            items = items.softmax(dim=1) if last else items
            layers.append(torch.cat([users, items]))
        return torch.stack(layers).mean(dim=0)

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Tensor]:
        """The pruned BPR of the embeddings and of their parts, the penalties, and the restoration of what is masked."""
        n_users, aux = self.sizes[0], encoded.aux
        wide = self.suggested.extended(batch, self.config.suggestion_fraction, random=self.training)
        blocks = gather_embeddings(encoded.node_embeddings, wide, n_users)
        terms = {"ranking": self._pruned_bpr(*blocks)}
        tables = {name: aux[f"modality_{name}"] for name in self.features.names}
        for name, table in tables.items():
            terms[f"modalities/{name}"] = self._pruned_bpr(*gather_embeddings(table, wide, n_users))
        terms["features"] = half_squares(*tables.values()) / self.sizes[1]
        if self.profiles is not None:
            users = F.embedding(wide.users, aux["profiles"])
            for name in self.attribute_names:
                _, liked, disliked = gather_embeddings(aux[f"attribute_{name}"], wide, n_users)
                terms[f"attributes/{name}"] = self._pruned_bpr(users, liked, disliked)
        penalties = self.penalty_terms(
            lambda: {"squares": self._penalty_of(*blocks) / self.config.reg_rows},
            partial(gather_embeddings, self.nodes, batch, n_users),
        )
        return {**terms, **penalties, **self._restoration(aux)}

    def _pruned_bpr(
        self,
        users: Float[Tensor, "batch dim"],
        positives: Float[Tensor, "batch dim"],
        negatives: Float[Tensor, "batch n_negatives dim"],
    ) -> Float[Tensor, ""]:
        margins = (users[:, None] * (positives[:, None] - negatives)).sum(dim=2)
        losses = -F.logsigmoid(margins).mean(dim=1)
        count = max(1, int((1 - self.config.prune_fraction) * len(losses)))
        return losses.topk(count, largest=self.config.prune == "smallest", sorted=False).values.mean()

    def _penalty_of(self, *blocks: Tensor) -> Float[Tensor, ""]:
        if self.config.penalty == "squares":
            return half_squares(*blocks)
        return torch.stack([1 / (2 * block.square().sum() + SMALLEST) for block in blocks]).sum()

    def _restoration(self, aux: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The distances from what was masked; zero in evaluation, which masks nothing."""
        masked_users, masked_items = aux["masked_users"], aux["masked_items"]
        terms = {}
        if self.profiles is not None and self.profile_decoder is not None and self._n_masked[0]:
            decoded = self.profile_decoder(aux["profiles"].detach()[masked_users])
            terms["restoration/users"] = self._distance(decoded, self.profiles.values[masked_users])
        if self.attribute_decoder is not None and self._n_masked[1]:
            for name, vectors in zip(self.attribute_names, self.attributes, strict=True):
                decoded = self.attribute_decoder(aux[f"attribute_{name}"][self.sizes[0] + masked_items])
                original = cast(AugmentedVectors, vectors).values[masked_items]
                terms[f"restoration/item_{name}"] = self._distance(decoded, original)
        return terms

    def _distance(self, decoded: Float[Tensor, "rows width"], original: Float[Tensor, "rows width"]) -> Tensor:
        if not len(original):
            return original.new_zeros(())
        one, other = l2_normalize(decoded), l2_normalize(original)
        if self.config.restoration == "squares":
            return (one - other).square().mean()
        return (1 - (one * other).sum(dim=1)).clamp_min(0).pow(self.config.restoration_exponent).mean()


def _both_halves(interactions: Interactions) -> nn.ModuleList:
    return nn.ModuleList(root_degree_graphs(interactions))
