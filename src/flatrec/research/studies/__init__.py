"""The paper's research questions as studies; each is imported when it is first used."""

from typing import TYPE_CHECKING

from flatrec.research.studies.registry import ENTRIES
from flatrec.utils.lazy_registry import Registry, homes, lazy
from flatrec.utils.optional import require_extra

if TYPE_CHECKING:
    from flatrec.research.studies.base import Request as Request
    from flatrec.research.studies.base import Source as Source
    from flatrec.research.studies.base import Study as Study
    from flatrec.research.studies.runner import build_study as build_study
    from flatrec.research.studies.runner import run_study as run_study

STUDIES: "Registry[Study]" = Registry(ENTRIES)

_BASE, _RUNNER = "flatrec.research.studies.base", "flatrec.research.studies.runner"
_HOMES = homes(ENTRIES, Request=_BASE, Source=_BASE, Study=_BASE, build_study=_RUNNER, run_study=_RUNNER)


def __getattr__(name: str) -> object:
    if name in _HOMES:
        require_extra("matplotlib", "plots")
    return lazy(__name__, name, _HOMES)


def __dir__() -> list[str]:
    return sorted({"STUDIES", *_HOMES})
