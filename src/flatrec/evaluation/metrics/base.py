"""What a metric is: a class that states its name in print, its direction and its definition, and computes itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from jaxtyping import Float, Float64, Int64
from numpy import ndarray
from torch import Tensor

from flatrec.evaluation.metrics.lists import TopK

PerUser: TypeAlias = Float[Tensor, "n_scored"]


class Metric(ABC):
    """A metric of top-k lists.

    One of your own states ``higher_is_better`` and defines ``compute``; results call it by the name of its class.

    Example:
        >>> class HitsInFirstPlace(Metric):
        ...     higher_is_better = True
        ...
        ...     def compute(self, lists: TopK) -> PerUser:
        ...         return lists.hits[:, 0].double()
        >>> HitsInFirstPlace().shown_title
        'HitsInFirstPlace'
    """

    higher_is_better: ClassVar[bool]  # the direction in which epochs, trials and strategies are better
    title: ClassVar[str] = ""  # the name in tables and figures; by default the name of the class
    definition: ClassVar[str] = ""  # one sentence for ``flatrec list metrics``
    depends_on_order: ClassVar[bool] = False  # if not, it says nothing where k items are all
    needs_features: ClassVar[bool] = False  # True if it cannot be computed for data without item features
    sampled: ClassVar[bool] = (
        False  # True if its lists are those of :mod:`flatrec.evaluation.sampled`, not of all items
    )

    @abstractmethod
    def compute(self, lists: TopK) -> PerUser | float:
        """Return one value per user, NaN for each for whom it is not defined, or one value of all lists together."""

    @property
    def shown_title(self) -> str:
        """The name in tables and figures."""
        return self.title or type(self).__name__


class ExpectedMetric(Metric, ABC):
    """A metric whose expectation is known for a random order, which the cold-start evaluation reports."""

    @abstractmethod
    def at_random(self, order: RandomOrder) -> Float64[ndarray, "n_users"]:
        """Return the expectation for each user."""


@dataclass(frozen=True, eq=False)
class RandomOrder:
    """Lists of k items in random order: each rank holds a relevant item with probability r / n."""

    k: int  # length of a list
    r: Int64[ndarray, "n_users"]  # number of relevant items of each user, at least 1
    n: Int64[ndarray, "n_users"]  # number of items that may be listed for each user, at least r

    @property
    def m(self) -> Int64[ndarray, "n_users"]:
        """Number of items in each list: min(k, n)."""
        lengths: ndarray = np.minimum(self.k, self.n)
        return lengths

    def sum_over_list(self, values: Float64[ndarray, "..."]) -> Float64[ndarray, "n_users"]:
        """Return the sum of values by rank, for all users alike or for each, over the m ranks of the list."""
        sums: ndarray = ((np.arange(1, self.k + 1) <= self.m[:, None]) * values).sum(axis=1)
        return sums
