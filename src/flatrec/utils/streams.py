"""The encoding of what the command line prints."""

from __future__ import annotations

import io
import os
import sys


def use_utf8() -> None:
    """Print UTF-8 into files and pipes on Windows, where Python takes the code page of the system, which lacks letters.

    The environment variable ``PYTHONIOENCODING`` decides if it is set.
    """
    if sys.platform == "win32" and not os.environ.get("PYTHONIOENCODING"):
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding="utf-8")
