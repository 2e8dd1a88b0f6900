"""Training strategies by class and by name, each imported when it is first used; needs torch alone."""

from typing import TYPE_CHECKING

from flatrec.strategies.registry import ENTRIES, ONE_BATCH
from flatrec.utils.lazy_registry import Registry, homes, lazy

if TYPE_CHECKING:  # what type checkers see; who adds a strategy need not add it here
    from flatrec.strategies.asam import ASAM as ASAM
    from flatrec.strategies.base import Perturbation as Perturbation
    from flatrec.strategies.base import SAMStrategy as SAMStrategy
    from flatrec.strategies.base import Shift as Shift
    from flatrec.strategies.base import SingleBatchStrategy as SingleBatchStrategy
    from flatrec.strategies.base import Strategy as Strategy
    from flatrec.strategies.base import TwoPass as TwoPass
    from flatrec.strategies.base import euclidean_perturbation as euclidean_perturbation
    from flatrec.strategies.bsam import BSAM as BSAM
    from flatrec.strategies.context import NonFiniteGradientError as NonFiniteGradientError
    from flatrec.strategies.context import StepContext as StepContext
    from flatrec.strategies.contrib.efficient_sam import ESAM as ESAM
    from flatrec.strategies.contrib.gradient_norm_penalty import GradientNormPenalty as GradientNormPenalty
    from flatrec.strategies.contrib.sparse_sam import SSAM as SSAM
    from flatrec.strategies.contrib.vasso import VaSSO as VaSSO
    from flatrec.strategies.fisher_sam import FisherSAM as FisherSAM
    from flatrec.strategies.friendly_sam import FriendlySAM as FriendlySAM
    from flatrec.strategies.gsam import GSAM as GSAM
    from flatrec.strategies.look_sam import LookSAM as LookSAM
    from flatrec.strategies.mirror_gradient import MirrorGradient as MirrorGradient
    from flatrec.strategies.mixed import Mixed as Mixed
    from flatrec.strategies.plain import Plain as Plain
    from flatrec.strategies.sam import SAM as SAM

# A "+" after the name of one of these, which end in a gradient, wraps it in Mixed.
MIXABLE: "Registry[SingleBatchStrategy]" = Registry(ENTRIES, (ONE_BATCH,))
STRATEGIES: "Registry[Strategy]" = Registry(ENTRIES)

_BASE, _LEARNING = "flatrec.strategies.base", "flatrec.strategies.context"
_HOMES = homes(
    ENTRIES,
    Perturbation=_BASE,
    StepContext=_LEARNING,
    Mixed="flatrec.strategies.mixed",
    NonFiniteGradientError=_LEARNING,
    SingleBatchStrategy=_BASE,
    SAMStrategy=_BASE,
    Shift=_BASE,
    Strategy=_BASE,
    TwoPass=_BASE,
    euclidean_perturbation=_BASE,
)


if TYPE_CHECKING:

    def __getattr__(name: str) -> type[Strategy]: ...

else:

    def __getattr__(name: str) -> object:
        return lazy(__name__, name, _HOMES)


def __dir__() -> list[str]:
    return sorted({"MIXABLE", "STRATEGIES", *_HOMES})
