"""Full ranking and its metrics; knows no models."""

from flatrec.evaluation.evaluate import Result, evaluate, evaluate_scorer, seen_mask
from flatrec.evaluation.ranking import Ranking, Scorer, inner_product, rank

__all__ = ["Ranking", "Result", "Scorer", "evaluate", "evaluate_scorer", "seen_mask", "inner_product", "rank"]
