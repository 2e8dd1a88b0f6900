"""Where the ``flatrec`` command begins: before anything else is imported, it is made ready to be interrupted."""

import atexit
import gc
import sys

from flatrec.utils.interrupts import Guard
from flatrec.utils.streams import fill_closed, use_utf8


def main() -> None:
    """Run the command line of this process and exit with 0, 1 (failed), 2 (bad usage) or 130 (interrupted)."""
    fill_closed()
    guard = Guard(sys.argv[1:])
    guard.install()
    use_utf8()
    atexit.register(gc.freeze)  # at its end the interpreter would go through all that was imported, for a second or two
    from flatrec.cli import main as run

    run(guard=guard)


if __name__ == "__main__":
    main()
