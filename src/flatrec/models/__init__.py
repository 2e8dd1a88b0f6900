"""The recommenders by class and by name; each is imported when it is first used."""

from typing import TYPE_CHECKING

from flatrec.models.registry import BASELINE, CLICKS, ENTRIES, FEATURE_BASELINE, FEATURES
from flatrec.utils.lazy_registry import Registry, homes, lazy

if TYPE_CHECKING:  # what type checkers see; who adds a model need not add it here
    from flatrec.models.adversarial import Adversarial as Adversarial
    from flatrec.models.aligngroup import AlignGroup as AlignGroup
    from flatrec.models.base import Baseline as Baseline
    from flatrec.models.base import Encoded as Encoded
    from flatrec.models.base import Model as Model
    from flatrec.models.base import ModelConfig as ModelConfig
    from flatrec.models.bm3 import BM3 as BM3
    from flatrec.models.bpr import BPR as BPR
    from flatrec.models.cohesion import COHESION as COHESION
    from flatrec.models.dragon import DRAGON as DRAGON
    from flatrec.models.dualgnn import DualGNN as DualGNN
    from flatrec.models.fourierkan_gcf import FourierKANGCF as FourierKANGCF
    from flatrec.models.freedom import FREEDOM as FREEDOM
    from flatrec.models.grcn import GRCN as GRCN
    from flatrec.models.item_knn import ItemKNN as ItemKNN
    from flatrec.models.lattice import LATTICE as LATTICE
    from flatrec.models.layergcn import LayerGCN as LayerGCN
    from flatrec.models.lgmrec import LGMRec as LGMRec
    from flatrec.models.lightgcn import LightGCN as LightGCN
    from flatrec.models.mentor import MENTOR as MENTOR
    from flatrec.models.mgcn import MGCN as MGCN
    from flatrec.models.mmgcn import MMGCN as MMGCN
    from flatrec.models.ngcf import NGCF as NGCF
    from flatrec.models.popularity import Popularity as Popularity
    from flatrec.models.slmrec import SLMRec as SLMRec
    from flatrec.models.smore import SMORE as SMORE
    from flatrec.models.vbpr import VBPR as VBPR
    from flatrec.models.virtual_triplets import VirtualTriplets as VirtualTriplets

MODELS: "Registry[Model]" = Registry(ENTRIES, (CLICKS, FEATURES))
BASELINES: "Registry[Baseline]" = Registry(ENTRIES, (BASELINE, FEATURE_BASELINE))

_BASE = "flatrec.models.base"
_HOMES = homes(
    ENTRIES,
    Adversarial="flatrec.models.adversarial",
    VirtualTriplets="flatrec.models.virtual_triplets",
    Encoded=_BASE,
    Model=_BASE,
    ModelConfig=_BASE,
    Baseline=_BASE,
)


if TYPE_CHECKING:

    def __getattr__(name: str) -> type[Model]: ...

else:

    def __getattr__(name: str) -> object:
        return lazy(__name__, name, _HOMES)


def __dir__() -> list[str]:
    return sorted({"MODELS", "BASELINES", *_HOMES})
