"""What every recommender is: Model, which trains, and Baseline, which needs no training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Literal, TypeAlias

from jaxtyping import Float, Int64
from pydantic import ConfigDict
from torch import Generator, Tensor, nn

from flatrec.config import Config, Option
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset

Modalities: TypeAlias = Literal["none", "one or more"]
Cold: TypeAlias = Literal["features", "nearest"]
SearchSpace: TypeAlias = Mapping[str, tuple[Option, ...]]


@dataclass(frozen=True, eq=False)
class Encoded:
    """What a model computes once for all batches of a step.

    Args:
        node_embeddings: final representations, users first, then items; one table, so that a batch is one gather.
        aux: whatever else the loss reads, by name.
    """

    node_embeddings: Float[Tensor, "n_nodes dim"]
    aux: Mapping[str, Tensor] = field(default_factory=dict)


class ModelConfig(Config):
    """Settings of a model or baseline: one field for each, with a type and a default, explained in ``Args``.

    A number's range is part of its type, as in :mod:`flatrec.utils.ranges`. A model without settings needs no class of
    its own.
    """

    model_config = ConfigDict(strict=True)


class Model(nn.Module, ABC):
    """A trainable recommender whose score is the inner product of a user's and an item's representation.

    ``Config`` declares its settings; :attr:`config` holds those of an object. ``sizes`` are the numbers of users and of
    items.

    ``MODALITIES`` says what item features it reads: none, or those of any data set with one or more modalities, by any
    name. ``SEARCH_SPACE`` holds the values that are usually tried for its settings, by the dotted name of the setting
    (``model.n_layers``, ``optimizer.lr``).

    ``COLD`` says how an item that was not trained on gets a vector; see :mod:`flatrec.inference.cold_start`.
    ``features`` is for a model that makes an item without pairs of that item's features and a row of its own, and of
    nothing else: neither of other items, as over a graph of similar ones, nor of sums over all. ``nearest`` serves
    every model.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    config: ModelConfig
    MODALITIES: ClassVar[Modalities] = "none"
    COLD: ClassVar[Cold] = "nearest"
    SEARCH_SPACE: ClassVar[SearchSpace] = MappingProxyType({})

    def __init__(self, dataset: Dataset, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = _checked_config(type(self), config)
        self.sizes = (dataset.n_users, dataset.n_items)

    @abstractmethod
    def encode(self) -> Encoded:
        """Everything that does not depend on the batch: propagation, fusion; the expensive part.

        In training mode it may use a thinned graph or dropout; in evaluation mode it is deterministic.
        """

    @abstractmethod
    def loss(self, encoded: Encoded, batch: Batch) -> Float[Tensor, ""]:
        """The training loss of a batch. Pure: it writes no attribute, buffer or batch."""

    @abstractmethod
    def user_item_embeddings(
        self, encoded: Encoded
    ) -> tuple[Float[Tensor, "n_users dim"], Float[Tensor, "n_items dim"]]:
        """User and item vectors whose inner products rank."""

    # The hooks are optional, hence neither abstract nor empty by oversight; only the trainer calls them.
    def on_epoch_start(self, generator: Generator) -> None:  # noqa: B027
        """Change what changes once an epoch, e.g. draw a thinned graph.

        What it draws stays until it is called again, also after training: who measures a trained model in training
        mode begins an epoch first, or measures with the last epoch's draw.
        """

    def on_step_end(self) -> None:  # noqa: B027
        """Change what changes once a step."""


class Baseline(ABC):
    """A recommender without parameters: what a trained one must beat."""

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    config: ModelConfig

    def __init__(self, dataset: Dataset, config: ModelConfig | None = None) -> None:
        self.config = _checked_config(type(self), config)
        self.sizes = (dataset.n_users, dataset.n_items)

    @abstractmethod
    def scores(self, users: Int64[Tensor, "block"]) -> Float[Tensor, "block n_items"]:
        """Scores of all items for some users."""

    @abstractmethod
    def item_similarities(self, item: int) -> Float[Tensor, "n_items"]:
        """How alike every item is to one; the item itself included."""


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
