"""Work that several processes do together, each begun afresh, as torchrun begins them."""

from __future__ import annotations

import os
import signal

from torch import distributed

from tests.processes import LIMIT, SERVER


def together(size, work, *given, folder, dying=None, limit=LIMIT):
    """Let processes with a group among them do ``work(rank, *given)``; all must come to its end, but one that dies.

    ``limit`` are the seconds after which a process counts as hanging.
    """
    folder.mkdir(parents=True, exist_ok=True)
    children = [
        SERVER.Process(target=_begin, args=(rank, size, str(folder / "store"), work, given)) for rank in range(size)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(limit)
    codes = [child.exitcode for child in children]
    for child in children:
        child.kill()
    assert codes == [-signal.SIGKILL if rank == dying else 0 for rank in range(size)]


def _begin(rank, size, store, work, given):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    try:
        work(rank, *given)
    finally:
        distributed.destroy_process_group()
