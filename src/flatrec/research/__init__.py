"""Comparisons, studies, sweeps, reports and the demo, each as one call; each is imported when it is first used."""

from typing import TYPE_CHECKING

from flatrec.utils.lazy_registry import lazy
from flatrec.utils.optional import Extra, require_extra

if TYPE_CHECKING:
    from flatrec.research.comparison import StrategyComparison as StrategyComparison
    from flatrec.research.comparison import compare as compare
    from flatrec.research.demo import DemoResult as DemoResult
    from flatrec.research.demo import DemoSettings as DemoSettings
    from flatrec.research.demo import run_demo as run_demo
    from flatrec.research.execution import Workers as Workers
    from flatrec.research.reporting.study_report import write_report as write_report
    from flatrec.research.reporting.study_result import StudyResult as StudyResult
    from flatrec.research.studies.base import Request as Request
    from flatrec.research.studies.base import Study as Study
    from flatrec.research.studies.runner import build_study as build_study
    from flatrec.research.studies.runner import run_study as run_study
    from flatrec.research.sweeps import Sweep as Sweep
    from flatrec.research.sweeps import read_space as read_space
    from flatrec.research.sweeps import run_sweep as run_sweep

_MODULES = {
    "StrategyComparison": "comparison",
    "compare": "comparison",
    "DemoResult": "demo",
    "DemoSettings": "demo",
    "run_demo": "demo",
    "Workers": "execution",
    "write_report": "reporting.study_report",
    "StudyResult": "reporting.study_result",
    "Request": "studies.base",
    "Study": "studies.base",
    "build_study": "studies.runner",
    "run_study": "studies.runner",
    "Sweep": "sweeps",
    "read_space": "sweeps",
    "run_sweep": "sweeps",
}
_PLOTS: tuple[tuple[str, Extra], ...] = (("matplotlib", "plots"),)
_NEEDED: dict[str, tuple[tuple[str, Extra], ...]] = {
    "demo": (*_PLOTS, ("jinja2", "plots")),
    "studies.base": _PLOTS,
    "studies.runner": _PLOTS,
    "sweeps": (("optuna", "research"), ("sqlalchemy", "research"), *_PLOTS),
}


def __getattr__(name: str) -> object:
    module = _MODULES.get(name, name)
    for package, extra in _NEEDED.get(module, ()):
        require_extra(package, extra)
    return lazy(__name__, name, {name: f"{__name__}.{module}" for name, module in _MODULES.items()})


def __dir__() -> list[str]:
    return sorted(_MODULES)
