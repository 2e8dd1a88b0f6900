"""Many jobs at once: on this machine's cores or on a cluster; a worker that dies loses its job only."""

from flatrec.research.execution.execute import Lost, execute
from flatrec.research.execution.workers import Workers

__all__ = ["Lost", "Workers", "execute"]
