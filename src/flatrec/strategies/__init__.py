"""Training strategies by class and by name, each imported when it is first used; needs torch alone."""

from typing import TYPE_CHECKING

from flatrec.entries import Registry, homes, lazy
from flatrec.strategies.registry import ENTRIES, ONE_BATCH

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
    from flatrec.strategies.efficient_sam import ESAM as ESAM
    from flatrec.strategies.fisher_sam import FisherSAM as FisherSAM
    from flatrec.strategies.friendly_sam import FriendlySAM as FriendlySAM
    from flatrec.strategies.gradient_norm_penalty import GradientNormPenalty as GradientNormPenalty
    from flatrec.strategies.gsam import GSAM as GSAM
    from flatrec.strategies.learning import Learning as Learning
    from flatrec.strategies.learning import NonFiniteGradientError as NonFiniteGradientError
    from flatrec.strategies.look_sam import LookSAM as LookSAM
    from flatrec.strategies.mirror_gradient import MirrorGradient as MirrorGradient
    from flatrec.strategies.mixed import Mixed as Mixed
    from flatrec.strategies.plain import Plain as Plain
    from flatrec.strategies.sam import SAM as SAM
    from flatrec.strategies.sparse_sam import SSAM as SSAM
    from flatrec.strategies.vasso import VaSSO as VaSSO

# A "+" after the name of one of these, which end in a gradient, wraps it in Mixed.
MIXABLE: "Registry[OneBatch]" = Registry(ENTRIES, (ONE_BATCH,))
STRATEGIES: "Registry[Strategy]" = Registry(ENTRIES)

_BASE, _LEARNING = "flatrec.strategies.base", "flatrec.strategies.learning"
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
