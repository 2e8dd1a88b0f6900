"""How the C library allocates memory."""

from __future__ import annotations

import ctypes
import platform

# The numbers of glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
PADDING = 2**26  # bytes by which the heap grows at once


def tune_malloc() -> bool:
    """Let glibc keep freed memory from now on, for the whole process; return False if there is no glibc.

    By default, glibc returns a freed tensor of more than 32 MB to the system, and the next one of that size is fetched
    again, page by page, which takes longer than most of what is computed with it. With this setting the process keeps
    the most memory that it ever needed. The command line does this; call it yourself in a process that only trains.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    wanted = {MMAP_MAX: 0, TRIM_THRESHOLD: -1, TOP_PAD: PADDING}
    return all([library.mallopt(option, value) == 1 for option, value in wanted.items()])
