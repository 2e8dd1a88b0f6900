"""Loggers: where the settings, curves and scores of a run are written besides its run folder.

A new logger is a class with the methods of :class:`flatrec.loggers.base.Logger`, a row in :mod:`registry`, and its
test.
"""

from typing import TYPE_CHECKING

from flatrec.loggers.registry import ENTRIES
from flatrec.utils.lazy_registry import Registry, homes, lazy

if TYPE_CHECKING:
    from flatrec.loggers.base import Logger, RunInfo, Status, curves

LOGGERS: "Registry[Logger]" = Registry(ENTRIES)
_HOMES = homes(ENTRIES, **dict.fromkeys(("Logger", "RunInfo", "Status", "curves"), "flatrec.loggers.base"))

__all__ = ["LOGGERS", "Logger", "RunInfo", "Status", "curves"]


def __getattr__(name: str) -> object:
    return lazy(__name__, name, _HOMES)
