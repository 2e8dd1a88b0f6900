"""Full ranking and its metrics; knows no models."""

from flatrec.evaluation.evaluate import Result, evaluate, evaluate_scorer, hidden_pairs
from flatrec.evaluation.ranking import Ranking, Scorer, inner_product, rank

__all__ = ["Ranking", "Result", "Scorer", "evaluate", "evaluate_scorer", "hidden_pairs", "inner_product", "rank"]
