"""Devices: which one a name means, its random numbers, and how exactly it computes.

A model runs on a CPU or on a GPU by CUDA. ``mps``, the GPU of an Apple computer, is passed on to torch, but was never
tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor

from flatrec.utils.device_names import check_name

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # without which cuBLAS is not deterministic


def choose(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is a GPU by CUDA if there is one, and else the CPU.

    Raises:
        ValueError: the name is none, or this machine or this torch has no such device.
    """
    check_name(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= n_gpus:
            seen = "no CUDA device" if n_gpus == 0 else f"{n_gpus} of them, the first is cuda:0"
            raise ValueError(f"device is {name}, but this torch sees {seen}; use --device auto or cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device is mps, but this torch sees no such device; use --device auto or cpu")
    return device


def take_turns(number: int) -> None:
    """Let ``cuda`` be one of several GPUs, so that jobs with successive numbers share all of them."""
    if torch.cuda.is_available() and torch.cuda.device_count() > 1:
        torch.cuda.set_device(number % torch.cuda.device_count())


def seed(device: torch.device, number: int) -> None:
    """Seed torch's generator of the CPU and that of a device; those of other devices go on as they are."""
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


def drawing(device: torch.device | None) -> torch.device:
    """Return where batches and graphs for a device are drawn: a GPU by CUDA draws its own, others have the CPU's."""
    return device if device is not None and device.type == "cuda" else torch.device("cpu")


def generator_on(device: torch.device, generator: Generator) -> Generator:
    """Return a generator of a device, seeded by a draw of another one; that one itself if it is of such a device.

    Equal states of the given generator give equal ones of the device, so that what is drawn follows from the seed.
    """
    if generator.device.type == device.type:
        return generator
    return Generator(device).manual_seed(int(torch.randint(2**62, (), generator=generator)))


def moved(tensor: Tensor, device: torch.device | None) -> Tensor:
    """Return a tensor on a device, to which it is copied while the processor goes on, as far as the device can."""
    if device is None:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def free_memory(device: torch.device) -> int | None:
    """Return how many bytes of a GPU's memory torch can still use; None for other devices."""
    if device.type != "cuda":
        return None
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


@contextmanager
def forked_generators(device: torch.device) -> Iterator[None]:
    """Context manager after which the generators of the CPU and of a device are as they were before."""
    if device.type in ("cpu", "meta"):
        with torch.random.fork_rng(()):
            yield
        return
    index = torch.cuda.current_device() if device.index is None and device.type == "cuda" else device.index or 0
    with torch.random.fork_rng([index], device_type=device.type):
        yield


@contextmanager
def numerics(device: torch.device, *, tf32: bool = False, deterministic: bool = False) -> Iterator[None]:
    """Context manager for how a device computes; afterward everything is as it was before.

    Args:
        device: the device.
        tf32: whether products of float32 matrices on a GPU round their factors to 10 bits, which is several times
            faster; other devices do not.
        deterministic: whether torch refuses algorithms whose results differ from run to run.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    tf32_before = _tf32() if device.type == "cuda" else None
    try:
        if deterministic:
            os.environ.setdefault(CUBLAS, ":4096:8")
            torch.use_deterministic_algorithms(True)
        if tf32_before is not None:
            _set_tf32(tf32)
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        if tf32_before is not None:
            _set_tf32(tf32_before)


def _tf32() -> bool | str:
    """Return whether torch allows TF32; torch's newer setting, by its name, where that alone was set."""
    try:
        return bool(torch.backends.cuda.matmul.allow_tf32)
    except RuntimeError:  # the older setting says otherwise, which torch refuses to read
        return str(torch.backends.cuda.matmul.fp32_precision)


def _set_tf32(value: bool | str) -> None:
    name = "allow_tf32" if isinstance(value, bool) else "fp32_precision"
    setattr(torch.backends.cuda.matmul, name, value)
