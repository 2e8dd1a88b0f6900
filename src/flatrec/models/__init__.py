"""The recommenders, and the tables by which the command line finds them."""

from flatrec.models.adversarial import Adversarial
from flatrec.models.base import Encoded, Model, Yardstick
from flatrec.models.bm3 import BM3
from flatrec.models.bpr import BPR
from flatrec.models.dragon import DRAGON
from flatrec.models.dualgnn import DualGNN
from flatrec.models.freedom import FREEDOM
from flatrec.models.grcn import GRCN
from flatrec.models.item_knn import ItemKNN
from flatrec.models.lattice import LATTICE
from flatrec.models.layergcn import LayerGCN
from flatrec.models.lgmrec import LGMRec
from flatrec.models.lightgcn import LightGCN
from flatrec.models.mmgcn import MMGCN
from flatrec.models.ngcf import NGCF
from flatrec.models.popularity import Popularity
from flatrec.models.slmrec import SLMRec
from flatrec.models.vbpr import VBPR

MODELS: dict[str, type[Model]] = {
    "bpr": BPR,
    "ngcf": NGCF,
    "lightgcn": LightGCN,
    "layergcn": LayerGCN,
    "vbpr": VBPR,
    "mmgcn": MMGCN,
    "grcn": GRCN,
    "dualgnn": DualGNN,
    "lattice": LATTICE,
    "slmrec": SLMRec,
    "bm3": BM3,
    "freedom": FREEDOM,
    "dragon": DRAGON,
    "lgmrec": LGMRec,
}
YARDSTICKS: dict[str, type[Yardstick]] = {"popularity": Popularity, "item-knn": ItemKNN}

__all__ = [
    "BM3",
    "BPR",
    "DRAGON",
    "FREEDOM",
    "GRCN",
    "LATTICE",
    "MMGCN",
    "MODELS",
    "NGCF",
    "VBPR",
    "YARDSTICKS",
    "Adversarial",
    "DualGNN",
    "Encoded",
    "ItemKNN",
    "LGMRec",
    "LayerGCN",
    "LightGCN",
    "Model",
    "Popularity",
    "SLMRec",
    "Yardstick",
]
