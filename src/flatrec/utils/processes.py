"""This process among those that ``torchrun`` starts, by the variables of the environment that it sets."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Processes:
    """The number of this process, and how many there are.

    Args:
        rank: the number of this process, from 0.
        size: how many processes there are, on all machines.
        local_rank: the number of this process among those of its machine, from 0.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def of_environment(cls) -> Processes:
        """The processes that the environment tells of; a single one if it tells of none.

        Raises:
            ValueError: a variable is no whole number, or there is no process of that number.
        """
        size = _number("WORLD_SIZE", 1)
        if size <= 1:
            return cls()
        found = cls(_number("RANK", 0), size, _number("LOCAL_RANK", 0))
        if found.rank >= size:
            raise ValueError(f"RANK is {found.rank}, but WORLD_SIZE is {size}; start the processes by torchrun")
        return found


def check_command(name: str) -> None:
    """Make sure that a command other than ``train`` was not started several times by torchrun.

    Raises:
        ValueError: it was, and each process would do the same work in the same files.
    """
    if name != "train" and started_by_torchrun() and (size := Processes.of_environment().size) > 1:
        raise ValueError(
            f"torchrun started {size} processes, which flatrec train alone knows how to use; run flatrec {name} "
            "without torchrun"
        )


def started_by_torchrun() -> bool:
    """Return True if torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def first_speaks(command: str) -> bool:
    """Return True if the first of several processes speaks for all that were started with this command.

    Other commands than ``train`` are each a process of their own, unless torchrun started them: schedulers of clusters
    set the numbers of processes too.
    """
    return command == "train" or started_by_torchrun()


def speaks() -> bool:
    """Return True unless this is one of several processes and not the first: the others write and print nothing."""
    try:
        return Processes.of_environment().rank == 0
    except ValueError:
        return True


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name} must be a whole number, as torchrun sets it, but is {text!r}; unset it")
    return int(text)
