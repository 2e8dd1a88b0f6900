"""Search for settings: Optuna proposes, validation decides, fresh seeds confirm."""

from flatrec.research.sweeps.space import Choices, Range, Space, default_space, read_space
from flatrec.research.sweeps.sweep import Sweep, run_sweep

__all__ = ["Choices", "Range", "Space", "Sweep", "default_space", "read_space", "run_sweep"]
