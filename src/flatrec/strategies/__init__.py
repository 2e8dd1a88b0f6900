"""Training strategies, and the table by which the command line finds them."""

from flatrec.strategies.base import OneBatch, Perturbing, Strategy
from flatrec.strategies.bsam import BSAM
from flatrec.strategies.learner import Learner, NonFiniteGradientError
from flatrec.strategies.mixed import Mixed
from flatrec.strategies.plain import Plain
from flatrec.strategies.sam import SAM

# A "+" after a name wraps the strategy in Mixed.
STRATEGIES: dict[str, type[OneBatch]] = {"plain": Plain, "sam": SAM, "bsam": BSAM}

__all__ = [
    "BSAM",
    "SAM",
    "STRATEGIES",
    "Learner",
    "Mixed",
    "NonFiniteGradientError",
    "OneBatch",
    "Perturbing",
    "Plain",
    "Strategy",
]
