"""flatrec: multimodal recommenders trained into flat minima."""

from flatrec._version import __version__
from flatrec.config import Evaluation, Experiment, Training
from flatrec.data.dataset import Dataset
from flatrec.data.loading import load_data
from flatrec.evaluation import evaluate
from flatrec.experiment import fit, load_run
from flatrec.run import Recommendation, Run

__all__ = [
    "Dataset",
    "Evaluation",
    "Experiment",
    "Recommendation",
    "Run",
    "Training",
    "__version__",
    "evaluate",
    "fit",
    "load_data",
    "load_run",
]
