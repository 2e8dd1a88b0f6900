"""Training strategies, and the table by which the command line finds them; needs torch alone."""

from flatrec.strategies.asam import ASAM
from flatrec.strategies.base import Ascent, OneBatch, Perturbing, Shift, Strategy, TwoPass, straight
from flatrec.strategies.bsam import BSAM
from flatrec.strategies.efficient_sam import ESAM
from flatrec.strategies.fisher_sam import FisherSAM
from flatrec.strategies.friendly_sam import FriendlySAM
from flatrec.strategies.gradient_norm_penalty import GradientNormPenalty
from flatrec.strategies.gsam import GSAM
from flatrec.strategies.learning import Learning, NonFiniteGradientError
from flatrec.strategies.look_sam import LookSAM
from flatrec.strategies.mirror_gradient import MirrorGradient
from flatrec.strategies.mixed import Mixed
from flatrec.strategies.plain import Plain
from flatrec.strategies.sam import SAM
from flatrec.strategies.sparse_sam import SSAM
from flatrec.strategies.vasso import VaSSO

# A "+" after the name of one of these, which end in a gradient, wraps it in Mixed.
MIXABLE: dict[str, type[OneBatch]] = {
    "plain": Plain,
    "sam": SAM,
    "asam": ASAM,
    "fishersam": FisherSAM,
    "fsam": FriendlySAM,
    "bsam": BSAM,
    "vasso": VaSSO,
    "gsam": GSAM,
    "gnp": GradientNormPenalty,
    "looksam": LookSAM,
    "ssam": SSAM,
    "esam": ESAM,
}
STRATEGIES: dict[str, type[Strategy]] = {**MIXABLE, "mg": MirrorGradient}

__all__ = [
    "ASAM",
    "BSAM",
    "ESAM",
    "GSAM",
    "MIXABLE",
    "SAM",
    "SSAM",
    "STRATEGIES",
    "Ascent",
    "FisherSAM",
    "FriendlySAM",
    "GradientNormPenalty",
    "Learning",
    "LookSAM",
    "MirrorGradient",
    "Mixed",
    "NonFiniteGradientError",
    "OneBatch",
    "Perturbing",
    "Plain",
    "Shift",
    "Strategy",
    "TwoPass",
    "VaSSO",
    "straight",
]
