"""Items that were not trained on: a vector for each of them, recommendations among them, and how good these are."""

from flatrec.cold.evaluation import ColdResult, Comparison, cold_items, evaluate_cold
from flatrec.cold.holdout import Holdout, hold_out, warm_run
from flatrec.cold.newcomers import Newcomers, newcomers
from flatrec.cold.recommending import recommend
from flatrec.cold.vectors import Placed, check_able, place

__all__ = [
    "ColdResult",
    "Comparison",
    "Holdout",
    "Newcomers",
    "Placed",
    "check_able",
    "cold_items",
    "evaluate_cold",
    "hold_out",
    "newcomers",
    "place",
    "recommend",
    "warm_run",
]
