"""Cold-start items: embeddings of items that were not trained on, recommendations of them, and their evaluation."""

from flatrec.inference.cold_start.embeddings import NewItemEmbeddings, check_supported, embed_new_items
from flatrec.inference.cold_start.evaluation import (
    BaselineComparison,
    ColdStartResult,
    evaluate_cold_start,
    evaluate_held_out,
)
from flatrec.inference.cold_start.holdout import Holdout, hold_out_items, run_name, train_without_held_out
from flatrec.inference.cold_start.recommend import join_new_items

__all__ = [
    "BaselineComparison",
    "ColdStartResult",
    "Holdout",
    "NewItemEmbeddings",
    "check_supported",
    "embed_new_items",
    "evaluate_cold_start",
    "evaluate_held_out",
    "hold_out_items",
    "join_new_items",
    "run_name",
    "train_without_held_out",
]
