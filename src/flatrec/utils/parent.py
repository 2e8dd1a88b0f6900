"""Worker processes that end with the process that started them, however that ended."""

from __future__ import annotations

import os
import sys
import time
from multiprocessing import parent_process
from threading import Thread

_POLL = 0.5  # seconds between two looks at the parent


def end_with_parent(parent: int) -> None:
    """End this process as soon as its parent is gone, in the middle of its work, as a kill would.

    A parent that is killed cannot end its workers, which would go on until their jobs are done.

    Args:
        parent: number of the process that started this one; it may be gone already.
    """
    Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    if sys.platform == "win32":  # where a process keeps the number of its parent after the parent's end
        if (started_by := parent_process()) is None:
            return
        started_by.join()
    else:
        while os.getppid() == parent:
            time.sleep(_POLL)
    os._exit(1)
