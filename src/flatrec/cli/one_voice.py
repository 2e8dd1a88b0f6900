"""Of several processes of one run, the first speaks for all."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flatrec.utils.processes import speaks

_BAD_USAGE, _FAILED = 2, 1
_PATIENCE = 20  # seconds that the first process has to say it: torchrun ends all processes when one has ended


@contextmanager
def one_voice(usage: type[Exception]) -> Iterator[None]:
    """Context manager in which all but the first of several processes log nothing and keep errors of all to themselves.

    What only one process can meet, such as a full memory, is still said by it.

    Args:
        usage: the error of a command line that is wrong.
    """
    if speaks():
        yield
        return
    logging.disable(logging.CRITICAL)
    try:
        yield
    except Exception as error:
        if code := _code_of_all(error, usage):
            time.sleep(_PATIENCE)
            raise SystemExit(code) from None
        raise


def _code_of_all(error: Exception, usage: type[Exception]) -> int:
    """Return the exit code of an error that the first process meets as well; 0 if it may not."""
    from flatrec.ops.process_group import LostProcessError
    from flatrec.training.trainer import DivergedError

    if isinstance(error, (usage, ValueError, KeyError, FileNotFoundError, FileExistsError)):
        return _BAD_USAGE
    return _FAILED if isinstance(error, (LostProcessError, DivergedError)) else 0
