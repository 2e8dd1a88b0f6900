"""Ctrl-C and SIGTERM: one line and an exit code, whatever is going on; needs next to nothing, to come first."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143  # as shells have it: 128 and the number of the signal
_GOES_ON = "; the same command goes on later"
ADVICE = {
    "train": "; go on later with --resume",
    "compare": "; the same command without --overwrite goes on later",
    "encode": _GOES_ON,
    "augment": _GOES_ON,
    "cold-start": _GOES_ON,
    "adjust": _GOES_ON,
    "study": _GOES_ON,
    "sweep": _GOES_ON,
}
_IMPORTING = "<frozen importlib._bootstrap>"


class Guard:
    """What a process does when it is told to stop.

    At work, the first signal raises KeyboardInterrupt, so that files and folders are left as they should be. A second
    one ends the process at once, and so does the first where nothing is done yet, where all is done, and within an
    import: compiled modules swallow or garble an exception that comes in the middle of their own.

    Args:
        words: of the command line.
    """

    def __init__(self, words: list[str]) -> None:
        self.advice = ADVICE.get(words[0] if words else "", "")
        self.working = False
        self.code = 0  # that the process is to end with; 0 while nothing told it to stop

    def install(self) -> None:
        """Answer signals from now on; one that the parent process ignores, as nohup does, stays ignored."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._answer)
        sys.unraisablehook = self._unraisable

    def line(self) -> str:
        """What the user is told."""
        word = "terminated" if self.code == TERMINATED else "interrupted"
        return f"flatrec: {word}{self.advice if self.working else ''}\n"

    def _answer(self, number: int, frame: FrameType | None) -> None:
        again = self.code != 0
        self.code = TERMINATED if number == signal.SIGTERM else INTERRUPTED
        if again or not self.working or _importing(frame):
            self._leave()
        raise KeyboardInterrupt

    def _unraisable(self, failed: sys.UnraisableHookArgs) -> None:
        if self.code and isinstance(failed.exc_value, KeyboardInterrupt):  # raised where nobody could hear of it
            self._leave()
        sys.__unraisablehook__(failed)

    def _leave(self) -> None:
        shown = "\x1b[?25h" if os.isatty(2) else ""  # a progress bar may have hidden the cursor
        os.write(2, f"{shown}{self.line()}".encode())
        os._exit(self.code)


@contextmanager
def held() -> Iterator[None]:
    """Inside the block Ctrl-C waits; processes that are started in it never hear of it, as their parent ends them."""
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
