"""flatrec: multimodal recommenders trained into flat minima.

The names are imported when they are first used, so that ``flatrec.optim`` needs torch alone.
"""

from flatrec._version import __version__

TYPE_CHECKING = False  # as in typing, which takes time to import
if TYPE_CHECKING:
    from flatrec.api import fit, load_run, run_experiment
    from flatrec.config import (
        AMR,
        MDVT,
        Component,
        Config,
        Evaluation,
        Experiment,
        Regularization,
        SplitSettings,
        Training,
    )
    from flatrec.data.builder import EventSettings
    from flatrec.data.dataset import Dataset
    from flatrec.data.formats.table import ItemSource, TableSettings
    from flatrec.data.loading import load_data
    from flatrec.data.tables.events import RowSettings
    from flatrec.data.tables.feature_files import FeatureSource
    from flatrec.evaluation import evaluate
    from flatrec.final_fit import refit
    from flatrec.inference.answers import ItemList, Recommendation
    from flatrec.inference.recommender import Recommender
    from flatrec.inference.run import Run
    from flatrec.inference.storage import load_recommender
    from flatrec.registry.naming import register_model, register_strategy
    from flatrec.windows import run_windows

__all__ = [
    "AMR",
    "MDVT",
    "Component",
    "Config",
    "Dataset",
    "Evaluation",
    "EventSettings",
    "Experiment",
    "FeatureSource",
    "ItemList",
    "ItemSource",
    "Recommendation",
    "Recommender",
    "Regularization",
    "RowSettings",
    "Run",
    "SplitSettings",
    "TableSettings",
    "Training",
    "__version__",
    "evaluate",
    "fit",
    "load_data",
    "load_recommender",
    "load_run",
    "refit",
    "register_model",
    "register_strategy",
    "run_experiment",
    "run_windows",
]

_HOMES = {
    "AMR": "flatrec.config",
    "Component": "flatrec.config",
    "Config": "flatrec.config",
    "Dataset": "flatrec.data.dataset",
    "Evaluation": "flatrec.config",
    "EventSettings": "flatrec.data.builder",
    "Experiment": "flatrec.config",
    "FeatureSource": "flatrec.data.tables.feature_files",
    "ItemList": "flatrec.inference.answers",
    "ItemSource": "flatrec.data.formats.table",
    "MDVT": "flatrec.config",
    "Recommendation": "flatrec.inference.answers",
    "Recommender": "flatrec.inference.recommender",
    "Regularization": "flatrec.config",
    "RowSettings": "flatrec.data.tables.events",
    "Run": "flatrec.inference.run",
    "SplitSettings": "flatrec.config",
    "TableSettings": "flatrec.data.formats.table",
    "Training": "flatrec.config",
    "evaluate": "flatrec.evaluation",
    "fit": "flatrec.api",
    "load_data": "flatrec.data.loading",
    "load_recommender": "flatrec.inference.storage",
    "load_run": "flatrec.api",
    "refit": "flatrec.final_fit",
    "register_model": "flatrec.registry.naming",
    "register_strategy": "flatrec.registry.naming",
    "run_experiment": "flatrec.api",
    "run_windows": "flatrec.windows",
}


def __getattr__(name: str) -> object:
    from flatrec.utils.lazy_registry import lazy

    return lazy(__name__, name, _HOMES)


def __dir__() -> list[str]:
    return __all__
