"""The recommenders, and the tables by which the command line finds them."""

from flatrec.models.base import Encoded, Model, Yardstick
from flatrec.models.bpr import BPR
from flatrec.models.freedom import FREEDOM
from flatrec.models.item_knn import ItemKNN
from flatrec.models.lightgcn import LightGCN
from flatrec.models.popularity import Popularity

MODELS: dict[str, type[Model]] = {"bpr": BPR, "lightgcn": LightGCN, "freedom": FREEDOM}
YARDSTICKS: dict[str, type[Yardstick]] = {"popularity": Popularity, "item-knn": ItemKNN}

__all__ = [
    "BPR",
    "FREEDOM",
    "MODELS",
    "YARDSTICKS",
    "Encoded",
    "ItemKNN",
    "LightGCN",
    "Model",
    "Popularity",
    "Yardstick",
]
