"""Training strategies, and the table by which the command line finds them."""

from flatrec.strategies.asam import ASAM
from flatrec.strategies.base import Ascent, OneBatch, Perturbing, Strategy, straight
from flatrec.strategies.bsam import BSAM
from flatrec.strategies.fisher_sam import FisherSAM
from flatrec.strategies.friendly_sam import FriendlySAM
from flatrec.strategies.gradient_norm_penalty import GradientNormPenalty
from flatrec.strategies.gsam import GSAM
from flatrec.strategies.learner import Learner, NonFiniteGradientError
from flatrec.strategies.look_sam import LookSAM
from flatrec.strategies.mirror_gradient import MirrorGradient
from flatrec.strategies.mixed import Mixed
from flatrec.strategies.plain import Plain
from flatrec.strategies.sam import SAM
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
}
STRATEGIES: dict[str, type[Strategy]] = {**MIXABLE, "mg": MirrorGradient}

__all__ = [
    "ASAM",
    "BSAM",
    "GSAM",
    "MIXABLE",
    "SAM",
    "STRATEGIES",
    "Ascent",
    "FisherSAM",
    "FriendlySAM",
    "GradientNormPenalty",
    "Learner",
    "LookSAM",
    "MirrorGradient",
    "Mixed",
    "NonFiniteGradientError",
    "OneBatch",
    "Perturbing",
    "Plain",
    "Strategy",
    "VaSSO",
    "straight",
]
