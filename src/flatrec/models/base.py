"""What every recommender is: Model, which trains, and Baseline, which needs no training."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from flatrec.config import Config, Option
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.losses.base import RankingLoss
from flatrec.losses.bpr import BPRLoss
from flatrec.losses.penalties import Penalty
from flatrec.models.scoring import Scoring, Vectors
from flatrec.ops.columns import Columns, whole_table
from flatrec.sampling.narrowing import hardest_negatives

Modalities: TypeAlias = Literal["none", "one or more"]
Cold: TypeAlias = Literal["features", "nearest"]
Replaceable: TypeAlias = Literal["loss", "regularization"]
PENALTIES = frozenset({"norms", "squares"})  # the groups of terms that are a model's own penalty
SearchSpace: TypeAlias = Mapping[str, tuple[Option, ...]]
Defaults: TypeAlias = Mapping[str, Option]


@dataclass(frozen=True, eq=False)
class Encoded:
    """What a model computes once for all batches of a step.

    Args:
        node_embeddings: final embeddings, users first, then items; one table, so that a batch needs one gather.
        aux: whatever else the loss reads, by name.
    """

    node_embeddings: Float[Tensor, "n_nodes dim"]
    aux: Mapping[str, Tensor] = field(default_factory=dict)


class ModelConfig(Config):
    """Settings of a model or baseline: one field for each, with a type and a default, explained in ``Args``.

    A number's range is part of its type, as in :mod:`flatrec.utils.ranges`. A model without settings needs no class of
    its own. :mod:`flatrec.models.settings` has those that many models share.
    """


class Model(nn.Module, ABC):
    """A trainable recommender, whose score is the inner product of a user's and an item's embedding by default.

    ``Config`` declares its settings; :attr:`config` holds those of an object. ``sizes`` are the numbers of users and of
    items. ``loss_weights`` has the weight of each term of the loss, or of each group of terms; a term without one
    counts once.

    A model defines ``encode`` and ``loss_terms``, and the hooks ``on_epoch_start`` and ``on_step_end`` where it needs
    them. Of the methods that are implemented here it may replace ``loss``, ``user_item_embeddings`` and
    ``scoring``, and no other.

    ``MODALITIES`` says which item features the model reads: none, or those of any data set with one or more modalities
    of any name. ``SEARCH_SPACE`` holds the values that searches try by default, by the dotted name of the setting
    (``model.n_layers``, ``optimizer.lr``).

    ``DEFAULTS`` holds what an experiment with this model has where the user states nothing, by the dotted name of the
    setting (``regularization.kind``, ``optimizer.lr``, ``training.average``); what it does not name has the general
    default. Those of the models here were measured: validation chose them on at least two data sets, and
    experiments/LOG.md has the figures. A subclass inherits them, unless it has its own. What a user states goes before
    them, and takes with it what belongs to it: see :mod:`flatrec.registry.model_defaults`.

    ``COLD`` says how an item that the model was not trained on gets an embedding; see
    :mod:`flatrec.inference.cold_start`. ``features`` is for a model that computes the embedding of an item without
    interactions from that item's features and its own row of a table alone, and not from other items, as over a graph
    of similar items, or from sums over all items. ``nearest`` serves every model.

    ``GROUPS_BY_MEMBERS`` says that the vector of a group follows from its members, so that a group without a training
    interaction is ranked by it if a member has one. Other groups without one get the most popular items.

    ``REPLACEABLE`` says what settings of an experiment may replace: ``loss`` for a model whose ``loss_terms`` ranks by
    ``ranking``, ``regularization`` for one that takes its penalty from ``penalty_terms``. A model's own penalty has the
    groups ``norms`` or ``squares``.

    ``COLUMNS`` is for a model whose columns several processes can share (:mod:`flatrec.parallel`): by a pattern of
    their names, where the columns of the embeddings lie in each parameter. A parameter without columns is divided
    by rows, and passes through :func:`flatrec.ops.columns.whole_rows` where it is used. ``encode`` of such a model
    works on each column by itself, and whatever its loss adds up over columns passes through
    :mod:`flatrec.ops.columns`. A subclass does not inherit it.

    ``LINEAR`` is for a model whose ``encode`` is linear, a constant aside, in all trained parameters together, given
    its dropout masks: patterns of their names. Where every trained parameter has such a name, strategies with ``+``
    cost one backward pass through ``encode`` less (:mod:`flatrec.training.merged_backward`). A subclass does not
    inherit it.

    Args:
        dataset: gives training interactions, and features where ``MODALITIES`` says so.
        config: settings; the defaults if left out.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    config: ModelConfig
    loss_weights: Mapping[str, float] = {}
    MODALITIES: ClassVar[Modalities] = "none"
    COLD: ClassVar[Cold] = "nearest"
    GROUPS_BY_MEMBERS: ClassVar[bool] = False
    SEARCH_SPACE: ClassVar[SearchSpace] = {}
    DEFAULTS: ClassVar[Defaults] = {}
    REPLACEABLE: ClassVar[frozenset[Replaceable]] = frozenset()
    LINEAR: ClassVar[Collection[str]] = ()
    COLUMNS: ClassVar[Mapping[str, Columns]] = {}
    ranking: RankingLoss = BPRLoss()
    own_penalty: bool = True
    penalty: Penalty | None = None

    def __init__(self, dataset: Dataset, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = _checked_config(type(self), config)
        self.sizes = (dataset.n_users, dataset.n_items)

    @abstractmethod
    def encode(self) -> Encoded:
        """Compute everything that does not depend on the batch, such as propagation and fusion.

        In training mode it may use a graph with dropped edges or dropout; in evaluation mode it must be deterministic.
        """

    @abstractmethod
    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The terms of the training loss of a batch by name, not weighted.

        Pure: it writes no attribute, buffer or batch. Terms that have one weight in common have a group before a slash,
        such as ``squares/users`` and ``squares/items``.
        """

    def loss(self, encoded: Encoded, batch: Batch) -> Float[Tensor, ""]:
        """The training loss of a batch: the sum of the terms, each group added up and then weighted.

        Raises:
            ValueError: ``loss_weights`` has a weight that no term uses.
        """
        if batch.hardest:
            batch = hardest_negatives(*self.user_item_embeddings(encoded), batch)
        groups: dict[str, list[Tensor]] = {}
        for name, term in self.loss_terms(encoded, batch).items():
            groups.setdefault(name.partition("/")[0], []).append(term)
        for unused in self.loss_weights.keys() - groups.keys():
            raise ValueError(f"loss_weights has {unused!r}, but the terms of the loss are {', '.join(groups)}")
        sums = {name: terms[0] if len(terms) == 1 else torch.stack(terms).sum() for name, terms in groups.items()}
        return functools.reduce(torch.add, (self.loss_weights.get(name, 1) * total for name, total in sums.items()))

    def replace_ranking(self, ranking: RankingLoss) -> None:
        """Rank by another loss than BPR.

        Raises:
            ValueError: the model has a loss of its own that no other can replace.
        """
        if "loss" not in self.REPLACEABLE:
            raise ValueError(
                f"{type(self).__name__} has a loss of its own, which loss.name cannot replace; set loss.name to default"
            )
        self.ranking = ranking

    def replace_penalty(self, penalty: Penalty | None, weight: float) -> None:
        """Take a penalty on the batch's free rows in place of the model's own; None for no penalty at all.

        Raises:
            ValueError: the model has no free rows that a penalty could be taken of.
        """
        if "regularization" not in self.REPLACEABLE:
            raise ValueError(
                f"{type(self).__name__} has no free rows that a penalty could be taken of; set regularization.kind to "
                "default, or to decoupled for the decay of all parameters"
            )
        self.own_penalty, self.penalty = False, penalty
        others = {name: value for name, value in self.loss_weights.items() if name not in PENALTIES | {"penalty"}}
        self.loss_weights = others if penalty is None else {**others, "penalty": weight}

    def penalty_terms(
        self, own: Callable[[], Mapping[str, Tensor]], free_rows: Callable[[], tuple[Tensor, Tensor, Tensor]]
    ) -> Mapping[str, Tensor]:
        """The terms of the penalty that is in force; neither argument is called where it is not needed.

        Args:
            own: the terms of the model's own penalty.
            free_rows: the rows of users, positives and negatives that another penalty is taken of.
        """
        if self.own_penalty:
            return own()
        return {} if self.penalty is None else {"penalty": self.penalty(*free_rows())}

    def user_item_embeddings(
        self, encoded: Encoded
    ) -> tuple[Float[Tensor, "n_users dim"], Float[Tensor, "n_items dim"]]:
        """User and item vectors whose inner products rank: the two halves of the node embeddings."""
        users, items = encoded.node_embeddings.split(self.sizes)
        return users, items

    def scoring(self, encoded: Encoded) -> Scoring:
        """How the scores are made that evaluations and recommendations rank by: as inner products of the embeddings.

        Only a model whose scores are no inner products replaces it.
        """
        return Vectors(*map(whole_table, self.user_item_embeddings(encoded)))

    # The hooks are optional, hence neither abstract nor empty by oversight; only the trainer calls them.
    def on_epoch_start(self, generator: Generator) -> None:  # noqa: B027
        """Change what changes once per epoch, such as a graph whose edges are dropped at random.

        What it draws stays until it is called again, also after training. The generator is one of the CPU, wherever the
        model is.
        """

    def on_step_end(self) -> None:  # noqa: B027
        """Change what changes once a step."""


class Baseline(ABC):
    """A recommender that the trainer does not train, and which a trained model must beat.

    Its constructor computes everything, without randomness: equal data and settings give equal scores, whatever the
    seed. ``MODALITIES`` and ``SEARCH_SPACE`` mean what they mean for a :class:`Model`.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    config: ModelConfig
    MODALITIES: ClassVar[Modalities] = "none"
    SEARCH_SPACE: ClassVar[SearchSpace] = {}

    def __init__(self, dataset: Dataset, config: ModelConfig | None = None) -> None:
        self.config = _checked_config(type(self), config)
        self.sizes = (dataset.n_users, dataset.n_items)

    @abstractmethod
    def scoring(self) -> Scoring:
        """How the scores are made, from values that were computed by the constructor."""


def _checked_config(kind: type[Model] | type[Baseline], config: ModelConfig | None) -> ModelConfig:
    """The settings of a model, the defaults where none are given.

    Raises:
        ValueError: they are the settings of another class, or none at all.
    """
    if config is None:
        return kind.Config()
    if not isinstance(config, kind.Config):
        name = kind.__name__
        raise ValueError(
            f"the settings of {name} must be a {name}.Config, but are of type {type(config).__qualname__}; write "
            f"{name}(dataset, {name}.Config(...))"
        )
    return config
