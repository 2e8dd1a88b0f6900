"""What a result depends on or cost besides its settings and data."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from flatrec._version import __version__

_CPU_MODEL = "model name"  # what /proc/cpuinfo calls it


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The part of a machine that decides the bits of a result.

    Args:
        device: what the model was trained on, such as ``cpu`` or ``cuda:0``, whatever was asked for.
        gpu: the GPU's name; None where none was used.
        cpu: the processor's name.
        onednn: whether large products of dense matrices on the CPU go through oneDNN.
        deterministic: whether torch is restricted to deterministic algorithms.
    """

    device: str
    gpu: str | None
    cpu: str
    onednn: bool
    deterministic: bool


def machine(device: torch.device, *, onednn: bool) -> Machine:
    """This machine, as a run on a device of it sees it."""
    return Machine(
        device=device_name(device),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        cpu=_cpu(),
        onednn=onednn,
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )


def device_name(device: torch.device) -> str:
    """A device by kind and number; ``cuda`` alone is the current one."""
    if device.type == "cuda" and device.index is None:
        return f"cuda:{torch.cuda.current_device()}"
    return str(device)


def _cpu() -> str:
    listed = Path("/proc/cpuinfo")
    for line in listed.read_text(encoding="utf-8", errors="replace").splitlines() if listed.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == _CPU_MODEL:
            return value.strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str | int]:
    """What decides the bits of a result besides settings, data and machine."""
    return {
        "flatrec": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
    }


def peak_memory_mb() -> float:
    """The most memory that this process has held so far, earlier runs included, in MB.

    0 on Windows, which does not tell.
    """
    if sys.platform == "win32":
        return 0.0
    import resource  # not on Windows

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


def reset_peak_gpu_memory(device: torch.device) -> None:
    """Count the most memory held on a GPU from now on; nothing on another device."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_gpu_memory_mb(device: torch.device) -> float | None:
    """The most memory that torch has held on a GPU since the count began, in MB; None on another device."""
    return round(torch.cuda.max_memory_allocated(device) / 2**20, 1) if device.type == "cuda" else None
