"""Items that were not trained on: a vector for each of them, recommendations among them, and how good these are."""

from flatrec.inference.cold_start.embeddings import Placed, check_able, place
from flatrec.inference.cold_start.evaluation import ColdResult, Comparison, cold_items, evaluate_cold
from flatrec.inference.cold_start.holdout import Holdout, hold_out, warm_run
from flatrec.inference.cold_start.new_items import NewItems, read_new_items
from flatrec.inference.cold_start.recommending import recommend

__all__ = [
    "ColdResult",
    "Comparison",
    "Holdout",
    "NewItems",
    "Placed",
    "check_able",
    "cold_items",
    "evaluate_cold",
    "hold_out",
    "read_new_items",
    "place",
    "recommend",
    "warm_run",
]
