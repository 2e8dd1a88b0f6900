"""Metrics of what is listed, whether it is relevant or not: coverage, popularity, inequality, novelty, diversity."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor
from torch.nn import functional as F

from flatrec.evaluation.metrics.base import Metric, PerUser
from flatrec.evaluation.metrics.lists import TopK

BLOCK_VALUES = 4_000_000  # sums of features held at once: 16 MB


class ItemCoverage(Metric):
    """Fraction of the catalog that is recommended to anyone."""

    title = "Item coverage"
    definition = "Fraction of all items that are in at least one list."
    higher_is_better = True

    def compute(self, lists: TopK) -> float:
        """Return the fraction of all items that are in at least one list."""
        return int(lists.item_counts.count_nonzero()) / len(lists.data.popularity)


class AveragePopularity(Metric):
    """Popularity of what is recommended, a measure of popularity bias, where lower is better as in RecBole."""

    title = "Average popularity"
    definition = "Mean number of training interactions of the listed items; lower means less popularity bias."
    higher_is_better = False

    def compute(self, lists: TopK) -> float:
        """Return the mean number of training interactions of the listed items."""
        counts = lists.item_counts
        return float(counts.double() @ lists.data.popularity) / max(1, int(counts.sum()))


class Gini(Metric):
    """Gini index of exposure: how unequally often the items are listed.

    With the number of lists c of each of the n items in increasing order, it is sum of (2 i - n - 1) c_i over i = 1..n,
    divided by n times the sum of c, as in RecBole's GiniIndex. It is 0 if all items are listed equally often, and
    1 - 1/n if one item fills all lists. Elliot reports 1 minus this number; here, lower is better.
    """

    title = "Gini index"
    definition = "Inequality of how often all items are listed: 0 if equally often, near 1 if a few fill all lists."
    higher_is_better = False

    def compute(self, lists: TopK) -> float:
        """Return the Gini index; 0 if nothing is listed."""
        counts = lists.item_counts.sort().values.double()
        n = len(counts)
        weights = 2 * torch.arange(1, n + 1, dtype=torch.float64) - n - 1
        return float(counts @ weights) / (n * max(1.0, float(counts.sum())))


class Novelty(Metric):
    """Mean self-information of the listed items.

    The self-information of an item is -log2 of the fraction of the users with a training interaction who have one with
    the item (Zhou et al., PNAS 107, 2010, https://doi.org/10.1073/pnas.1000488107); RecTools calls the mean over a list
    MeanInvUserFreq. An item without a training interaction counts as if it had one, as in RecTools, so that it is as
    novel as the least popular ones. The mean is over the items that a list has; a user whose list is empty has none.
    """

    title = "Novelty"
    definition = "Mean over the listed items of -log2(fraction of the users with a training interaction with the item)."
    higher_is_better = True

    def compute(self, lists: TopK) -> PerUser:
        """Return the mean self-information of each list."""
        n_users = max(1, int((lists.data.user_counts > 0).sum()))
        information = math.log2(n_users) - lists.data.popularity.clamp(min=1).log2()
        return (information[lists.items] * (lists.items >= 0)).sum(dim=1) / lists.lengths  # 0 / 0 is NaN


class IntraListDiversity(Metric):
    """Mean cosine distance of the pairs of listed items, by their features.

    For one modality it is the mean over all pairs of items in the list of 1 - cos of their features (Ziegler et al.,
    WWW 2005, https://doi.org/10.1145/1060745.1060754, who sum similarities; as a mean of distances in RecTools). Items
    without the modality, and items whose features are all zero, are left out. The modalities that at least two items
    of a list have are averaged with equal weights; a user whose list has fewer than two items with features has none.

    The pairs are not formed: with unit vectors v of m items, the sum of the cosines is (|sum of v|^2 - m) / 2, so that
    a list costs O(k * width). The vectors are float32, which leaves an error of about 1e-6; sums are held for a block
    of users at once.
    """

    title = "Intra-list diversity"
    definition = "Mean cosine distance (1 - cos) of the features of the listed items, over pairs, then over modalities."
    higher_is_better = True
    needs_features = True

    def compute(self, lists: TopK) -> PerUser:
        """Return the mean over modalities of the mean distance in each list."""
        of_modalities = [_mean_distance(lists, directions) for directions in lists.data.directions.values()]
        return torch.stack(of_modalities).nanmean(dim=0)


def _mean_distance(lists: TopK, directions: Float32[Tensor, "n_items width"]) -> Float64[Tensor, "n_scored"]:
    """Return the mean cosine distance of the pairs in each list by one modality; NaN where there is no pair."""
    squared_lengths = directions.square().sum(dim=1).double()  # 1 but for rounding, or 0
    listed = lists.items >= 0
    items = lists.items.clamp(min=0)
    step = max(1, BLOCK_VALUES // directions.shape[1])
    blocks = zip(items.split(step), listed.float().split(step), strict=True)
    squared = torch.cat([_sums(directions, block, weights).square().sum(dim=1).double() for block, weights in blocks])
    of_items = squared_lengths[items] * listed
    m = (of_items > 0).sum(dim=1)
    similarity = (squared - of_items.sum(dim=1)) / (m * (m - 1))  # 0 / 0 is NaN with fewer than two items
    return torch.where(m > 1, (1 - similarity).clamp(0, 2), torch.nan)


def _sums(
    directions: Float32[Tensor, "n_items width"], items: Int64[Tensor, "block k"], weights: Float32[Tensor, "block k"]
) -> Float32[Tensor, "block width"]:
    return F.embedding_bag(items, directions, mode="sum", per_sample_weights=weights)
