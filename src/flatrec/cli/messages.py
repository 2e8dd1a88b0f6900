"""What commands say while they work: on standard error, and in the file of ``--log-file``.

Progress, warnings and errors are records of :mod:`logging`. Standard error shows each as a plain line; the file holds
each with its time, and errors with their traceback.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PROGRESS = logging.getLogger("flatrec.progress")  # lines that are shown unless --quiet is given
STATUS = logging.getLogger("flatrec.progress.status")  # lines that a terminal shows as a bar
ONLY_FILE = logging.getLogger("flatrec.file")  # what the file alone gets; an error is shown by who reports it

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class StandardError(logging.Handler):
    """Shows warnings, and progress unless it is not wanted.

    What rich shows on a terminal is imported with the first record that needs it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.quiet = False
        self.others: logging.Handler | None = None
        self.addFilter(self._shows)

    def _shows(self, record: logging.LogRecord) -> bool:
        if record.name == ONLY_FILE.name:
            return False
        if record.name == STATUS.name:
            return not self.quiet and not shows_bars()
        if record.name == PROGRESS.name:
            return not self.quiet
        return record.levelno >= logging.WARNING

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        if sys.stderr is None:  # as it is where the caller closed it
            return
        if record.name in (PROGRESS.name, STATUS.name):
            print_error(record.getMessage())
            return
        if self.others is None:
            self.others = _for_people() if sys.stderr.isatty() else logging.StreamHandler()
        self.others.emit(record)


class LogFile(logging.FileHandler):
    """The file of ``--log-file``: new lines are added to those of earlier commands.

    A file that cannot be written to any more ends no command: it is said once.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, encoding="utf-8")
        self.setFormatter(logging.Formatter(_FORMAT))
        self.failed = False

    def close(self) -> None:
        """Close the file; what could not be written has been said."""
        with suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - a method of logging
        """Say once that a line could not be written."""
        del record
        error = sys.exc_info()[1]
        if not self.failed:
            self.failed = True
            reason = error.strerror if isinstance(error, OSError) else error
            print_error(f"{self.baseFilename} cannot be written to ({reason}); the command goes on without it")


_standard_error = StandardError()


def configure(*, quiet: bool, log_file: str | None) -> None:
    """Say from now on what is to be said, and where.

    Args:
        quiet: whether progress is left out on standard error.
        log_file: path of a file that gets progress, warnings and errors; None for no file.

    Raises:
        ValueError: the path is empty, or is another option.
        OSError: the file cannot be opened.
    """
    global _standard_error
    _standard_error = StandardError()
    _standard_error.quiet = quiet
    console.cache_clear()  # it was made for the standard error of that time
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_standard_error], force=True)
    logging.getLogger("flatrec").setLevel(logging.NOTSET if log_file is None else logging.INFO)
    PROGRESS.setLevel(logging.INFO)
    ONLY_FILE.setLevel(logging.INFO)
    if log_file is None:
        return
    if not log_file.strip() or log_file.startswith("-"):
        said = f"is followed by the option {log_file}" if log_file.strip() else "is empty"
        raise ValueError(f"--log-file {said}; give a file, or leave it out")
    Path(log_file).parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger().addHandler(LogFile(log_file))


def shows_bars() -> bool:
    """Return True if somebody watches a terminal, and wants to see progress."""
    return not _standard_error.quiet and sys.stderr is not None and sys.stderr.isatty()


def print_error(line: str) -> None:
    """Print a line on standard error, whatever is wanted there; a full disk or a closed stream ends no command.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(line + "\n")
    except BrokenPipeError:
        raise
    except OSError:
        return


def print_progress(line: str) -> None:
    """Print a line on standard error, unless progress is not wanted, and into the log file."""
    PROGRESS.info("%s", line)


@cache
def console() -> Console:
    """Return the console of standard error, the same for bars and warnings: a bar stays below what is printed."""
    from rich.console import Console

    return Console(stderr=True)


def _for_people() -> logging.Handler:
    from rich.logging import RichHandler

    return RichHandler(console=console(), show_time=False, show_path=False)
