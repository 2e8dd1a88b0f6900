"""Hot reload: a new recommender is loaded and tried beside the one that answers, and takes its place in one step."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from flatrec.serve.served import Served, served_folder
from flatrec.utils.messages import message

Outcome: TypeAlias = Literal["unchanged", "reloaded", "failed"]
Signature: TypeAlias = tuple[tuple[str, int, int, int], ...]

logger = logging.getLogger(__name__)


class ServedModel:
    """The recommender that answers now.

    ``current`` is one reference, which a request takes once. :meth:`refresh` replaces it, or leaves it as it is.

    Args:
        path: the folder of a recommender, of a run, or of a nightly job, whose pointer ``current`` is followed.
        on_reload: hears of each attempt: the recommender that answers from then on, and whether it is a new one.

    Raises:
        FileNotFoundError: there is no recommender.
        ValueError: it is damaged.
    """

    def __init__(self, path: Path, on_reload: Callable[[Served, bool], None] = lambda _served, _new: None) -> None:
        self.path = path
        self.on_reload = on_reload
        self._signature = signature(path)
        self.current = Served.load(path)

    def refresh(self) -> Outcome:
        """Load what the folder holds now if it has changed; on any failure the former recommender goes on.

        A folder that failed is tried again when a file of it changes. It is called by one thread at a time.
        """
        found = signature(self.path)
        if found == self._signature:
            return "unchanged"
        self._signature = found
        try:
            new = Served.load(self.path)
        except Exception as error:  # whatever is wrong with the folder, the former one answers
            logger.warning("reload failed, the former recommender goes on: %s", message(error))
            self.on_reload(self.current, False)
            return "failed"
        self.current = new
        self.on_reload(new, True)
        return "reloaded"


def signature(path: Path) -> Signature:
    """Return what changes when a folder gets another recommender, or a file of it is written; empty without any.

    It costs a look at each file, and reads none.
    """
    try:
        folder = served_folder(path)
        with os.scandir(folder) as entries:
            files = sorted((entry.name, entry.stat()) for entry in entries)
    except (OSError, ValueError):
        return ()
    return ((str(folder), 0, 0, 0), *((name, file.st_size, file.st_mtime_ns, file.st_ino) for name, file in files))
