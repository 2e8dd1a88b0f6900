"""Where things are kept that can always be made again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "FLATREC_CACHE"  # a folder instead of the user's own, or "off"


def cache_dir(kind: str) -> Path | None:
    """The folder for one kind of things; None where nothing is to be kept.

    The environment variable FLATREC_CACHE names a folder for all kinds; without it, each kind has one of its own in
    the user's cache folder.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen == "off":
        return None
    return Path(chosen) if chosen else platformdirs.user_cache_path("flatrec") / kind
