"""The names of devices, known without torch, which takes seconds to import."""

from __future__ import annotations

import re

NAMES = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")


def check_name(name: str) -> str:
    """Return the name of a device, if it is one.

    Raises:
        ValueError: it is none.
    """
    if not NAMES.fullmatch(name):
        raise ValueError(f"must be auto, cpu, cuda, cuda:1 (the second GPU and so on) or mps, but is {name!r}")
    return name
