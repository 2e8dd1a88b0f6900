"""The paper's research questions, each as a recipe over runs; each is imported when it is first used."""

from typing import TYPE_CHECKING

from flatrec.research.studies.registry import ENTRIES
from flatrec.utils.lazy_registry import Registry, homes, lazy

if TYPE_CHECKING:
    from flatrec.research.studies.base import Request as Request
    from flatrec.research.studies.base import Study as Study
    from flatrec.research.studies.runner import run_study as run_study

STUDIES: "Registry[Study]" = Registry(ENTRIES)

_BASE = "flatrec.research.studies.base"
_HOMES = homes(ENTRIES, Request=_BASE, Study=_BASE, run_study="flatrec.research.studies.runner")


def __getattr__(name: str) -> object:
    return lazy(__name__, name, _HOMES)


def __dir__() -> list[str]:
    return sorted({"STUDIES", *_HOMES})
