"""What every ranking loss is: a function of the vectors of a batch, with its settings as fields."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from flatrec.data.batches import Batch
from flatrec.utils.checked_settings import store_checked_settings


@dataclass(frozen=True, kw_only=True)
class RankingLoss(ABC):
    """The loss by which a model ranks; its fields are its settings, checked when it is made.

    ``SEPARABLE`` says that whatever it adds up over columns passes through :mod:`flatrec.ops.columns`, so that several
    processes can share the columns. A subclass does not inherit it.

    Raises:
        TypeError: a setting is not of its type.
        ValueError: a setting is out of range.
    """

    SEPARABLE: ClassVar[bool] = False

    def __post_init__(self) -> None:
        store_checked_settings(self)

    @abstractmethod
    def __call__(
        self,
        users: Float[Tensor, "batch dim"],
        positives: Float[Tensor, "batch dim"],
        negatives: Float[Tensor, "batch n_negatives dim"],
        batch: Batch,
    ) -> Float[Tensor, ""]:
        """The mean loss of a batch, given the vectors of its users, positives and negatives."""
