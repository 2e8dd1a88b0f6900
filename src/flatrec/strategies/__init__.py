"""Training strategies by class and by name, each imported when it is first used; needs torch alone."""

from typing import TYPE_CHECKING

from flatrec.strategies.registry import EMBEDDINGS, ENTRIES, ONE_BATCH
from flatrec.utils.lazy_registry import Registry, homes, lazy

if TYPE_CHECKING:  # what type checkers see; a new strategy need not be added here
    from flatrec.strategies.asam import ASAM as ASAM
    from flatrec.strategies.base import FirstPass as FirstPass
    from flatrec.strategies.base import Gradients as Gradients
    from flatrec.strategies.base import Shift as Shift
    from flatrec.strategies.base import SingleBatchStrategy as SingleBatchStrategy
    from flatrec.strategies.base import Strategy as Strategy
    from flatrec.strategies.base import TwoPass as TwoPass
    from flatrec.strategies.bsam import BSAM as BSAM
    from flatrec.strategies.context import NonFiniteGradientError as NonFiniteGradientError
    from flatrec.strategies.context import StepContext as StepContext
    from flatrec.strategies.contrib.efficient_sam import ESAM as ESAM
    from flatrec.strategies.contrib.gradient_norm_penalty import GradientNormPenalty as GradientNormPenalty
    from flatrec.strategies.contrib.helen import Helen as Helen
    from flatrec.strategies.contrib.pamacf import PamaCF as PamaCF
    from flatrec.strategies.contrib.saf import MESA as MESA
    from flatrec.strategies.contrib.saf import SAF as SAF
    from flatrec.strategies.contrib.sharpcf import SharpCF as SharpCF
    from flatrec.strategies.contrib.sparse_sam import SSAM as SSAM
    from flatrec.strategies.contrib.vasso import VaSSO as VaSSO
    from flatrec.strategies.fisher_sam import FisherSAM as FisherSAM
    from flatrec.strategies.friendly_sam import FriendlySAM as FriendlySAM
    from flatrec.strategies.gsam import GSAM as GSAM
    from flatrec.strategies.look_sam import LookSAM as LookSAM
    from flatrec.strategies.mirror_gradient import MirrorGradient as MirrorGradient
    from flatrec.strategies.mixed import Mixed as Mixed
    from flatrec.strategies.perturbation import Perturbation as Perturbation
    from flatrec.strategies.perturbation import Point as Point
    from flatrec.strategies.perturbation import SAMStrategy as SAMStrategy
    from flatrec.strategies.perturbation import euclidean_perturbation as euclidean_perturbation
    from flatrec.strategies.plain import Plain as Plain
    from flatrec.strategies.sam import SAM as SAM

# A "+" after the name of one of these, which end in a gradient, wraps it in Mixed.
MIXABLE: "Registry[SingleBatchStrategy]" = Registry(ENTRIES, (ONE_BATCH, EMBEDDINGS))
# These need the users and items of a batch, which training.perturb_target=embeddings gives them.
ON_EMBEDDINGS: "Registry[SingleBatchStrategy]" = Registry(ENTRIES, (EMBEDDINGS,))
STRATEGIES: "Registry[Strategy]" = Registry(ENTRIES)

_BASE, _CONTEXT, _PERTURBATION = (f"flatrec.strategies.{name}" for name in ("base", "context", "perturbation"))
_HOMES = homes(
    ENTRIES,
    FirstPass=_BASE,
    Gradients=_BASE,
    Mixed="flatrec.strategies.mixed",
    NonFiniteGradientError=_CONTEXT,
    Perturbation=_PERTURBATION,
    Point=_PERTURBATION,
    SAMStrategy=_PERTURBATION,
    Shift=_BASE,
    SingleBatchStrategy=_BASE,
    StepContext=_CONTEXT,
    Strategy=_BASE,
    TwoPass=_BASE,
    euclidean_perturbation=_PERTURBATION,
)


if TYPE_CHECKING:

    def __getattr__(name: str) -> type[Strategy]: ...

else:

    def __getattr__(name: str) -> object:
        return lazy(__name__, name, _HOMES)


def __dir__() -> list[str]:
    return sorted({"MIXABLE", "ON_EMBEDDINGS", "STRATEGIES", *_HOMES})
