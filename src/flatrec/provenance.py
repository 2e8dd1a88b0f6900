"""What a result depends on or cost besides its settings and data."""

from __future__ import annotations

import platform
import sys

import numpy as np
import torch

from flatrec._version import __version__


def versions() -> dict[str, str | int]:
    """What decides the bits of a result besides settings and data."""
    return {
        "flatrec": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
    }


def peak_memory_mb() -> float:
    """The most memory that this process has held so far, in MB; on CUDA, what torch has allocated there too.

    0 on Windows, which does not tell.
    """
    if sys.platform == "win32":
        return 0.0
    import resource  # not on Windows

    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return round(peak + (torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0), 1)
