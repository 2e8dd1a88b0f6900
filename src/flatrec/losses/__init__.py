"""Ranking losses: what a model's vectors of users, positives and negatives are trained by."""

from typing import TYPE_CHECKING

from flatrec.losses.registry import ENTRIES
from flatrec.utils.lazy_registry import Registry

if TYPE_CHECKING:
    from flatrec.losses.base import RankingLoss

LOSSES: "Registry[RankingLoss]" = Registry(ENTRIES)
