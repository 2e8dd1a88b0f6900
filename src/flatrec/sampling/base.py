"""What every negative sampling is: how many items are drawn for an interaction, and by which probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from flatrec.data.interactions import Interactions
from flatrec.utils.checked_settings import store_checked_settings


@dataclass(frozen=True, kw_only=True)
class NegativeSampling(ABC):
    """How negatives are chosen; its fields are its settings, checked when it is made.

    ``in_batch`` says that a ranking loss takes the other positives of the batch as negatives, ``hardest`` that of those
    drawn only the one with the highest score counts.

    Raises:
        TypeError: a setting is not of its type.
        ValueError: a setting is out of range.
    """

    in_batch: ClassVar[bool] = False
    hardest: ClassVar[bool] = False

    def __post_init__(self) -> None:
        store_checked_settings(self)

    @property
    @abstractmethod
    def n_drawn(self) -> int:
        """The number of items drawn for each interaction."""

    @abstractmethod
    def weights(self, interactions: Interactions) -> Int64[ndarray, "n_items"] | None:
        """Whole numbers in proportion to which items are drawn, as :class:`UnboughtItems` needs; None if alike."""

    @abstractmethod
    def log_q(self, interactions: Interactions) -> Float[Tensor, "n_items"] | None:
        """The logarithm of the probability with which each item is a negative; None if all are equal."""
