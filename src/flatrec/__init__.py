"""flatrec: multimodal recommenders trained into flat minima.

The names are imported when they are first used, so that ``flatrec.optim`` needs torch alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from flatrec._version import __version__

if TYPE_CHECKING:
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

_HOMES = {
    "Dataset": "flatrec.data.dataset",
    "Evaluation": "flatrec.config",
    "Experiment": "flatrec.config",
    "Recommendation": "flatrec.run",
    "Run": "flatrec.run",
    "Training": "flatrec.config",
    "evaluate": "flatrec.evaluation",
    "fit": "flatrec.experiment",
    "load_data": "flatrec.data.loading",
    "load_run": "flatrec.experiment",
}


_PARTS = ("data", "evaluation", "models", "optim", "strategies", "training")


def __getattr__(name: str) -> object:
    if name in _PARTS:
        return import_module(f"flatrec.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'flatrec' has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return __all__
