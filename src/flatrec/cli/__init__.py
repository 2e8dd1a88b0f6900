"""The command line: every command parses, calls, prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from flatrec.utils.interrupts import Guard


def main(arguments: Sequence[str] | None = None, *, guard: Guard | None = None) -> None:
    """Run the command line and exit with 0, 1 (failed), 2 (bad usage) or 130 (interrupted).

    Args:
        arguments: the words after ``flatrec``; those of the process if left out.
        guard: what answers signals; without one, only KeyboardInterrupt is caught.
    """
    from flatrec.cli.app import run

    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(words, guard or Guard(words)))
