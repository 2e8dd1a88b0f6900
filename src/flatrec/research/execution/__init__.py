"""Many jobs at once, on the cores of this machine or on a cluster; a worker that dies loses only its own job."""

from flatrec.research.execution.callback import JobCallback, NoCallback
from flatrec.research.execution.execute import Lost, execute
from flatrec.research.execution.workers import Workers

__all__ = ["JobCallback", "Lost", "NoCallback", "Workers", "execute"]
