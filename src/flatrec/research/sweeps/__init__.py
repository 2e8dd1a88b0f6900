"""Search for settings: Optuna proposes, validation decides, fresh seeds confirm."""

from flatrec.research.sweeps.space import Choices, Range, Space, usual_space
from flatrec.research.sweeps.sweep import Sweep, sweep

__all__ = ["Choices", "Range", "Space", "Sweep", "sweep", "usual_space"]
