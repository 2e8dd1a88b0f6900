"""The folder of the cache, whose contents can always be computed again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "FLATREC_CACHE"  # another folder for the cache, or "off"


def cache_dir(kind: str) -> Path | None:
    """Return the cache folder of one kind of results; None if the cache is switched off.

    The environment variable FLATREC_CACHE names one folder for all kinds; without it, each kind has its own folder in
    the cache folder of the user.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen == "off":
        return None
    return Path(chosen) if chosen else platformdirs.user_cache_path("flatrec") / kind
