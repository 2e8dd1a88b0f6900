"""What a metric is computed from: top-k lists, and the data that they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from flatrec.data.features import Features
from flatrec.data.interactions import Interactions, Split
from flatrec.ops.normalize import l2_normalize_

TAIL_PERCENTILE = 80  # the other 20 % of the items are the most popular ones


@dataclass(frozen=True, eq=False)
class EvaluationData:
    """The data behind the lists. What is derived from them is computed when a metric asks for it, and once.

    Args:
        interactions: the interactions of all splits.
        split: the split whose interactions count as hits.
        users: indices of the scored users, in the order of the lists.
        features: item features by modality; empty where there are none.
    """

    interactions: Interactions
    split: Split
    users: Int64[Tensor, "n_scored"]
    features: Mapping[str, Features] = field(default_factory=dict)

    @cached_property
    def popularity(self) -> Float64[Tensor, "n_items"]:
        """Number of training interactions of each item."""
        return torch.tensor(self.interactions.item_counts("train"), dtype=torch.float64)

    @cached_property
    def user_counts(self) -> Int64[ndarray, "n_users"]:
        """Number of training interactions of each user of the data, scored or not."""
        counts: ndarray = np.diff(self.interactions.matrix("train").indptr).astype(np.int64)
        return counts

    @cached_property
    def relevant(self) -> sparse.csr_array:
        """The interactions of the split, one row per scored user."""
        return self.interactions.matrix(self.split)[self.users.numpy()]

    @cached_property
    def tail(self) -> Bool[Tensor, "n_items"]:
        """True for each item of the long tail.

        Its number of training interactions is not above the 80th percentile, which is the smallest number that at least
        80 % of all items do not exceed. Equally popular items are on the same side.
        """
        bound = np.percentile(self.popularity.numpy(), TAIL_PERCENTILE, method="inverted_cdf")
        return self.popularity <= float(bound)

    @cached_property
    def directions(self) -> Mapping[str, Float32[Tensor, "n_items width"]]:
        """The features of each modality with rows of length 1; zeros for items that lack it or are all zero in it."""
        return {name: l2_normalize_(torch.tensor(one.values)) for name, one in self.features.items()}

    @cached_property
    def activity(self) -> Mapping[str, Bool[Tensor, "n_scored"]]:
        """Which scored users are of ``low``, ``mid`` and ``high`` activity.

        The bounds are the terciles of the number of training interactions over all users who have one: the smallest
        numbers that at least one third and two thirds of them do not exceed. A user at a bound is in the lower group,
        and users without a training interaction are in the lowest. Where many users have the same number, groups differ
        in size and may be empty.
        """
        trained = self.user_counts[self.user_counts > 0]
        bounds = np.quantile(trained, [1 / 3, 2 / 3], method="inverted_cdf") if len(trained) else [0, 0]
        group = torch.from_numpy(np.searchsorted(bounds, self.user_counts[self.users.numpy()]))
        return {name: group == index for index, name in enumerate(("low", "mid", "high"))}


@dataclass(frozen=True, eq=False)
class TopK:
    """The lists of k items of all scored users, each of whom has at least one relevant item.

    Args:
        items: the listed items, best first; -1 where a list has no more items.
        scores: their scores; minus infinity where a list has no more items.
        hits: True where the listed item is relevant.
        n_relevant: the number of relevant items of each user.
        data: the interactions and features behind the lists.
    """

    items: Int64[Tensor, "n_scored k"]
    scores: Float[Tensor, "n_scored k"]
    hits: Bool[Tensor, "n_scored k"]
    n_relevant: Int64[Tensor, "n_scored"]
    data: EvaluationData

    @property
    def k(self) -> int:
        """Length of a list."""
        return self.hits.shape[1]

    def cut(self, k: int) -> TopK:
        """Return the first k items of each list."""
        return TopK(self.items[:, :k], self.scores[:, :k], self.hits[:, :k], self.n_relevant, self.data)

    @cached_property
    def item_counts(self) -> Int64[Tensor, "n_items"]:
        """Number of lists that each item is in."""
        listed = self.items.flatten()
        return torch.bincount(listed[listed >= 0], minlength=self.data.interactions.n_items)

    @cached_property
    def lengths(self) -> Int64[Tensor, "n_scored"]:
        """Number of items in each list: fewer than k where a user has no more left to rank."""
        return (self.items >= 0).sum(dim=1)
