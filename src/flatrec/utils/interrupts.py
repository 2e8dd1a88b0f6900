"""Ctrl-C and SIGTERM end a command with one line and an exit code. This module imports little, to be loaded first."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from flatrec.utils.global_options import GlobalOptions
from flatrec.utils.processes import first_speaks, speaks

INTERRUPTED, TERMINATED = 130, 143  # as in shells: 128 plus the number of the signal
_CONTINUES = "; run the same command again to continue"
ADVICE = {
    "train": "; continue with --resume",
    "compare": "; run the same command without --overwrite to continue",
    "encode": _CONTINUES,
    "augment": _CONTINUES,
    "cold-start": _CONTINUES,
    "refresh": _CONTINUES,
    "adjust": _CONTINUES,
    "export": _CONTINUES,
    "study": _CONTINUES,
    "sweep": _CONTINUES,
    "league": _CONTINUES,
}
_IMPORTING = "<frozen importlib._bootstrap>"


class Guard:
    """The reaction of a process to Ctrl-C and SIGTERM.

    While a command works, the first signal raises KeyboardInterrupt, so that files and folders are left in order. The
    second signal ends the process at once; so does the first one before and after the work, and during an import, since
    compiled modules swallow or distort an exception that is raised while they are loaded.

    Args:
        words: the words of the command line.
    """

    def __init__(self, words: list[str]) -> None:
        command = next(iter(GlobalOptions.of(words).words), "")
        self.advice = ADVICE.get(command, "")
        self.silent = first_speaks(command) and not speaks()
        self.working = False
        self.code = 0  # the exit code; 0 as long as no signal came

    def install(self) -> None:
        """Handle signals from now on; a signal that is ignored already, as under nohup, stays ignored."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._answer)
        sys.unraisablehook = self._unraisable

    def line(self) -> str:
        """Return the line for the user; empty if another process says it."""
        if self.silent:
            return ""
        word = "terminated" if self.code == TERMINATED else "interrupted"
        return f"flatrec: {word}{self.advice if self.working else ''}\n"

    def _answer(self, number: int, frame: FrameType | None) -> None:
        repeated = self.code != 0
        self.code = TERMINATED if number == signal.SIGTERM else INTERRUPTED
        if repeated or not self.working or _importing(frame):
            self._leave()
        raise KeyboardInterrupt

    def _unraisable(self, failed: sys.UnraisableHookArgs) -> None:
        if self.code and isinstance(failed.exc_value, KeyboardInterrupt):  # raised where Python drops exceptions
            self._leave()
        sys.__unraisablehook__(failed)

    def _leave(self) -> None:
        shown = "\x1b[?25h" if os.isatty(2) else ""  # a progress bar may have hidden the cursor
        os.write(2, f"{shown}{self.line()}".encode())
        os._exit(self.code)


@contextmanager
def defer_interrupts() -> Iterator[None]:
    """Delay Ctrl-C until the block ends; processes that are started in the block never receive it from the terminal."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False
