"""The options that every command has, wherever they stand among its words. This module imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

DEBUG, QUIET, LOG_FILE = "--debug", "--quiet", "--log-file"


class GlobalOptions(NamedTuple):
    """What the words of a command line say of every command.

    Args:
        words: the other words, of which the first is the command.
        debug: whether the whole traceback of an error is shown.
        quiet: whether progress is not shown.
        log_file: path of the file for progress, warnings and errors; None for no file. It is empty where the words
            name none.
    """

    words: list[str]
    debug: bool = False
    quiet: bool = False
    log_file: str | None = None

    @classmethod
    def of(cls, words: Sequence[str]) -> GlobalOptions:
        """Take the options out of the words; what stands behind ``--`` is left as it is.

        Example:
            >>> GlobalOptions.of(["train", "--quiet", "--log-file", "a.log", "--out", "runs/a"])
            GlobalOptions(words=['train', '--out', 'runs/a'], debug=False, quiet=True, log_file='a.log')
        """
        others: list[str] = []
        flags: set[str] = set()
        log_file = None
        rest = iter(words)
        for word in rest:
            name, equals, value = word.partition("=")
            if word == "--":
                others += [word, *rest]
            elif word in (DEBUG, QUIET):
                flags.add(word)
            elif name == LOG_FILE:
                log_file = value if equals else _next(rest)
            else:
                others.append(word)
        return cls(others, DEBUG in flags, QUIET in flags, log_file)


def _next(words: Iterator[str]) -> str:
    """Return the next word, or nothing where the option is the last one."""
    return next(words, "")
