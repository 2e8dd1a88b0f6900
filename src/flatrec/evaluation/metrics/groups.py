"""Recall of a group of items or of users; whoever is not concerned has no value and is left out of the mean."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from flatrec.evaluation.metrics.base import Metric, PerUser
from flatrec.evaluation.metrics.lists import TopK


class TailRecall(Metric):
    """Recall of the items of the long tail.

    The long tail are the items outside the 20 % that are most popular in training, by the 80/20 rule (Abdollahpouri et
    al., FLAIRS 2019, https://arxiv.org/abs/1901.07555): those whose number of training interactions is not above the
    80th percentile, :attr:`flatrec.evaluation.metrics.EvaluationData.tail`. A user without a relevant item in the tail
    has none.
    """

    title = "Tail recall"
    definition = "Recall of the relevant items outside the 20 % most popular; users without such an item are left out."
    higher_is_better = True

    def compute(self, lists: TopK) -> PerUser:
        """Return hits in the tail / relevant items in the tail."""
        tail = lists.data.tail
        n_relevant = torch.from_numpy(np.asarray(lists.data.relevant @ tail.numpy().astype(np.float64)))
        hits = (lists.hits & tail[lists.items]).sum(dim=1).double()  # an empty place is no hit
        return hits / n_relevant  # 0 / 0 is NaN


class LowActivityRecall(Metric):
    """Recall of the users in the lowest third of activity; see :attr:`.EvaluationData.activity`."""

    title = "Recall (low activity)"
    definition = "Recall of the third of the users with the fewest training interactions."
    higher_is_better = True

    def compute(self, lists: TopK) -> PerUser:
        """Return recall within the group."""
        return _recall_within(lists, lists.data.activity["low"])


class MidActivityRecall(Metric):
    """Recall of the users in the middle third of activity; see :attr:`.EvaluationData.activity`."""

    title = "Recall (mid activity)"
    definition = "Recall of the third of the users between those with the fewest and the most training interactions."
    higher_is_better = True

    def compute(self, lists: TopK) -> PerUser:
        """Return recall within the group."""
        return _recall_within(lists, lists.data.activity["mid"])


class HighActivityRecall(Metric):
    """Recall of the users in the highest third of activity; see :attr:`.EvaluationData.activity`."""

    title = "Recall (high activity)"
    definition = "Recall of the third of the users with the most training interactions."
    higher_is_better = True

    def compute(self, lists: TopK) -> PerUser:
        """Return recall within the group."""
        return _recall_within(lists, lists.data.activity["high"])


def _recall_within(lists: TopK, group: Tensor) -> PerUser:
    recall = lists.hits.double().sum(dim=1) / lists.n_relevant
    return torch.where(group, recall, torch.nan)
