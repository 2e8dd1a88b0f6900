"""The paper's research questions, each as a recipe over runs."""

from flatrec.studies.adjustment import Adjustment
from flatrec.studies.base import Request, Study
from flatrec.studies.batch_size import BatchSize
from flatrec.studies.convergence import Convergence
from flatrec.studies.generalization import Generalization
from flatrec.studies.interval import Interval
from flatrec.studies.landscape import Landscape
from flatrec.studies.noise import Noise
from flatrec.studies.optimizers import Optimizers
from flatrec.studies.overall import Overall
from flatrec.studies.parameters import Parameters
from flatrec.studies.partners import Partners
from flatrec.studies.rivals import Rivals
from flatrec.studies.runner import carry_out
from flatrec.studies.theory import Theory

STUDIES: dict[str, type[Study]] = {
    "overall": Overall,
    "noise": Noise,
    "adjustment": Adjustment,
    "generalization": Generalization,
    "rivals": Rivals,
    "optimizers": Optimizers,
    "partners": Partners,
    "batch-size": BatchSize,
    "convergence": Convergence,
    "landscape": Landscape,
    "parameters": Parameters,
    "interval": Interval,
    "theory": Theory,
}

__all__ = ["STUDIES", "Request", "Study", "carry_out"]
