"""Metrics of one relevant item among items drawn at random, called ``sampled_`` wherever they are shown."""

from __future__ import annotations

from flatrec.evaluation.metrics.base import Metric, PerUser
from flatrec.evaluation.metrics.lists import TopK
from flatrec.evaluation.metrics.ranking import NDCG, HitRate


class SampledHitRate(Metric):
    """Hit rate of each relevant item among drawn items; the mean over a user's relevant items.

    It is not comparable with the hit rate over all items, and need not even order models as that does (Krichene &
    Rendle, KDD 2020, https://doi.org/10.1145/3394486.3403226).
    """

    title = "Hit rate (sampled)"
    definition = (
        "Fraction of the relevant items in the top K among evaluation.sampled_negatives drawn items and itself."
    )
    higher_is_better = True
    sampled = True

    def compute(self, lists: TopK) -> PerUser:
        """Return 1 for each interaction whose item is listed, else 0."""
        return HitRate().compute(lists)


class SampledNDCG(Metric):
    """NDCG of each relevant item among drawn items, as for :class:`SampledHitRate`."""

    title = "NDCG (sampled)"
    definition = "Mean of 1 / log2(rank + 1) of the relevant items in the top K among drawn items, 0 for the others."
    higher_is_better = True
    depends_on_order = True
    sampled = True

    def compute(self, lists: TopK) -> PerUser:
        """Return the discount of the rank of each interaction's item."""
        return NDCG().compute(lists)
