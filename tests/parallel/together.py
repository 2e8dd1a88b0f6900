"""Work that several processes do together, each begun afresh, as torchrun begins them."""

from __future__ import annotations

import multiprocessing
import os

from torch import distributed

LIMIT = 120  # seconds


def together(size, work, *given, folder):
    """Let processes with a group among them do ``work(rank, *given)``; all of them must come to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    children = [
        context.Process(target=_begin, args=(rank, size, str(folder / "store"), work, given)) for rank in range(size)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(LIMIT)
    codes = [child.exitcode for child in children]
    for child in children:
        child.kill()
    assert codes == [0] * size


def _begin(rank, size, store, work, given):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    try:
        work(rank, *given)
    finally:
        distributed.destroy_process_group()
