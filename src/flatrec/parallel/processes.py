"""The processes that ``torchrun`` started, made to talk to each other for the time of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed

from flatrec.config import Experiment
from flatrec.ops.process_group import LostProcessError, ProcessGroup, reason_of
from flatrec.utils import devices
from flatrec.utils.parent import end_with_parent
from flatrec.utils.processes import Processes, started_by_torchrun

TIMEOUT = timedelta(minutes=10)  # for an answer; a process that is killed is noticed at once


@contextmanager
def process_group(experiment: Experiment, processes: Processes) -> Iterator[ProcessGroup | None]:
    """Context manager for the processes that train an experiment together; None if there is a single one.

    They talk by NCCL on GPUs by CUDA, and by gloo on CPUs. A process group that was made already is used as it is. If
    torchrun is killed, its processes end too.

    Raises:
        ValueError: the device is one that several processes cannot have.
        LostProcessError: the others did not come.
    """
    if processes.size == 1:
        yield None
        return
    device = own_device(experiment.device, processes)
    if distributed.is_initialized():
        yield ProcessGroup(distributed.get_rank(), distributed.get_world_size(), device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if started_by_torchrun():
        end_with_parent(os.getppid())
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise LostProcessError(
            f"the {processes.size} processes did not find each other ({reason_of(error)}); start them by torchrun"
        ) from None
    try:
        yield ProcessGroup(processes.rank, processes.size, device)
    finally:
        distributed.destroy_process_group()


def own_device(name: str, processes: Processes) -> torch.device:
    """Return the device of this process, given the name that all have in common: each has a GPU of its own.

    Raises:
        ValueError: there is no such device, or the name is that of a single one.
    """
    if processes.size == 1:
        return devices.choose(name)
    if name == "mps" or name.startswith("cuda:"):
        raise ValueError(f"device is {name}, which {processes.size} processes cannot share; set it to cuda or cpu")
    device = devices.choose(name)
    return devices.choose(f"cuda:{processes.local_rank}") if device.type == "cuda" else device
