"""The standard streams of the command line."""

from __future__ import annotations

import io
import os
import sys


def fill_closed() -> None:
    """Lead standard streams that the caller has closed nowhere, before another file gets the number of one of them.

    Otherwise a library that writes to standard error would write into that file, or wait for ever.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def use_utf8() -> None:
    """Print UTF-8 into files and pipes on Windows, where Python takes the code page of the system, which lacks letters.

    The environment variable ``PYTHONIOENCODING`` decides if it is set.
    """
    if sys.platform == "win32" and not os.environ.get("PYTHONIOENCODING"):
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding="utf-8")
