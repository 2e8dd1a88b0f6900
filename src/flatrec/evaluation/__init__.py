"""Ranking of all items, and metrics of the rankings; knows no models."""

from flatrec.evaluation.evaluate import EvaluationResult, evaluate, evaluate_scorer, seen_mask
from flatrec.evaluation.metrics import METRICS, Metric, TopK
from flatrec.evaluation.ranking import Ranking, Scorer, inner_product, rank

__all__ = [
    "METRICS",
    "EvaluationResult",
    "Metric",
    "Ranking",
    "Scorer",
    "TopK",
    "evaluate",
    "evaluate_scorer",
    "inner_product",
    "rank",
    "seen_mask",
]
