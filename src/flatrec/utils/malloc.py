"""How the C library hands out memory."""

from __future__ import annotations

import ctypes
import platform

# The numbers of glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
PADDING = 2**26  # bytes by which the heap grows at once


def tune_malloc() -> bool:
    """Let glibc keep the memory that is freed, for the whole process and from now on; whether there is a glibc.

    By default a tensor above 32 MB is given back to the system when it is freed, and so are smaller ones together; the
    next one of that size is fetched again, page by page, which takes longer than most of what is done with it. The
    process stays at the most memory it ever needed. The command line does this; call it yourself in a process that
    only trains.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    wanted = {MMAP_MAX: 0, TRIM_THRESHOLD: -1, TOP_PAD: PADDING}
    return all([library.mallopt(option, value) == 1 for option, value in wanted.items()])
