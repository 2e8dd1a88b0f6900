"""What a result depends on besides settings and data, and how much memory it took."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from flatrec._version import __version__

_CPU_MODEL = "model name"  # the key in /proc/cpuinfo


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The properties of a machine that decide the bits of a result."""

    device: str  # the device on which the model was trained, such as ``cpu`` or ``cuda:0``
    gpu: str | None  # the name of the GPU; None if none was used
    cpu: str  # the name of the processor
    onednn: bool  # whether oneDNN computes large products of dense matrices on the CPU
    deterministic: bool  # whether torch was restricted to deterministic algorithms


def machine(device: torch.device, *, onednn: bool, deterministic: bool) -> Machine:
    """Return the properties of this machine for a run on one of its devices.

    Args:
        device: the device.
        onednn: whether oneDNN computed large products on the CPU.
        deterministic: whether the run asked for deterministic algorithms.
    """
    return Machine(
        device=device_name(device),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        cpu=_cpu(),
        onednn=onednn,
        deterministic=deterministic or torch.are_deterministic_algorithms_enabled(),
    )


def device_name(device: torch.device) -> str:
    """Return the name of a device with its index; ``cuda`` alone is the current GPU."""
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
    """Return the versions and the number of threads, which may change the bits of a result."""
    return {
        "flatrec": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
    }


def peak_memory_mb() -> float:
    """Return the peak memory of this process in MB, including earlier runs; 0 on Windows, which does not report it."""
    if sys.platform == "win32":
        return 0.0
    import resource  # not on Windows

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


def reset_peak_gpu_memory(device: torch.device) -> None:
    """Start a new measurement of the peak memory of a GPU; other devices are ignored."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_gpu_memory_mb(device: torch.device) -> float | None:
    """Return the peak memory that torch used on a GPU since the last reset, in MB; None for other devices."""
    return round(torch.cuda.max_memory_allocated(device) / 2**20, 1) if device.type == "cuda" else None
