"""Search for settings: Optuna proposes, validation decides, fresh seeds confirm."""

from flatrec.research.sweeps.space import Choices, Range, Space, default_space
from flatrec.research.sweeps.sweep import Sweep, sweep

__all__ = ["Choices", "Range", "Space", "Sweep", "sweep", "default_space"]
