"""Training strategies by class and by name, each imported when it is first used; needs torch alone."""

from typing import TYPE_CHECKING

from flatrec.strategies.registry import ENTRIES, ONE_BATCH
from flatrec.utils.lazy_registry import Registry, homes, lazy

if TYPE_CHECKING:  # what type checkers see; who adds a strategy need not add it here
    from flatrec.strategies.asam import ASAM as ASAM
    from flatrec.strategies.base import Ascent as Ascent
    from flatrec.strategies.base import OneBatch as OneBatch
    from flatrec.strategies.base import Perturbing as Perturbing
    from flatrec.strategies.base import Shift as Shift
    from flatrec.strategies.base import Strategy as Strategy
    from flatrec.strategies.base import TwoPass as TwoPass
    from flatrec.strategies.base import straight as straight
    from flatrec.strategies.bsam import BSAM as BSAM
    from flatrec.strategies.context import Learning as Learning
    from flatrec.strategies.context import NonFiniteGradientError as NonFiniteGradientError
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
MIXABLE: "Registry[OneBatch]" = Registry(ENTRIES, (ONE_BATCH,))
STRATEGIES: "Registry[Strategy]" = Registry(ENTRIES)

_BASE, _LEARNING = "flatrec.strategies.base", "flatrec.strategies.context"
_HOMES = homes(
    ENTRIES,
    Ascent=_BASE,
    Learning=_LEARNING,
    Mixed="flatrec.strategies.mixed",
    NonFiniteGradientError=_LEARNING,
    OneBatch=_BASE,
    Perturbing=_BASE,
    Shift=_BASE,
    Strategy=_BASE,
    TwoPass=_BASE,
    straight=_BASE,
)


if TYPE_CHECKING:

    def __getattr__(name: str) -> type[Strategy]: ...

else:

    def __getattr__(name: str) -> object:
        return lazy(__name__, name, _HOMES)


def __dir__() -> list[str]:
    return sorted({"MIXABLE", "STRATEGIES", *_HOMES})
